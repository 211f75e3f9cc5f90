// Package conformance plays SCIM transcripts against any service provider, by
// its base URL and a bearer token, over real HTTP.
//
// A transcript promises one behaviour: it names the RFC section or the customary
// deviation it stands for, and shows the requests and the answers. It expects a
// connection without users and groups, and it imports nothing of Muster, so
// that it judges this server and others alike. DIVERGENCES.md says where this
// server departs from the RFCs, and which transcript shows it.
package conformance

import (
	"embed"
	"io/fs"
	"path"
)

//go:embed clients entra okta rfc7644 strict
var files embed.FS

// Transcripts returns every transcript of this package in the order of their
// names, "entra/manager" for one.
func Transcripts() ([]*Transcript, error) {
	var all []*Transcript
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".txtar" {
			return err
		}
		text, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		t, err := Parse(name[:len(name)-len(".txtar")], text)
		all = append(all, t)
		return err
	})
	return all, err
}
