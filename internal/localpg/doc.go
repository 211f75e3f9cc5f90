// Package localpg runs a private PostgreSQL for `muster serve --local` and for tests.
//
// A cluster lives in one folder that belongs to it alone:
//
//	data/         the data folder, made by initdb
//	socket        the socket's folder, or a link to a shorter one below /tmp
//	postgres.log  what the server says; one older file is kept as postgres.log.old
//	muster.lock   held by the program that started the cluster
//
// It listens on a Unix socket in a folder of mode 0700 and never on TCP; whoever
// may enter that folder is trusted as any role. PostgreSQL refuses to run as root,
// so a program that runs as root hands the folder to "postgres" or "nobody" and
// starts the server as that user. It has three roles: postgres, the superuser;
// [OwnerRole], which owns databases and migrates them; and [ServerRole], which the
// server uses and which is neither superuser nor exempt from row-level security.
//
// The program may be killed at any moment. The next [Start] on the folder stops a
// server that was left running, lets PostgreSQL recover what was committed, and
// starts anew.
package localpg
