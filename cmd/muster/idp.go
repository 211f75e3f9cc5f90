package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muster-id/muster/internal/idpsim"
)

// idpFlags are what idp takes.
type idpFlags struct {
	as, directory, listen, mapping string
	scimURL, tokenFile             string
	clientID, clientSecretFile     string
	redirectURIs                   []string
	deactivate, reactivate         []string
	once                           bool
}

func (p *program) idpCommand() *cobra.Command {
	f := &idpFlags{}
	c := p.command(verb{
		use:   "idp",
		short: "Play an identity provider, Entra ID or Okta, on this machine",
		long: `Play an identity provider on this machine: push a directory by SCIM as Entra ID or Okta
does, in its dialect, then serve sign-ins and a page of the directory until Ctrl-C.

Anybody who reaches it can sign in as anybody, so it listens on loopback only, and only
a server with --local accepts its issuer. As Entra it sends mailNickname as externalId,
Microsoft's default, by which nobody can be matched at sign-in: it is refused
join_mismatch. --mapping objectId is what should be set up instead.`,
		example: `  muster idp --as entra --mapping objectId --scim-url http://127.0.0.1:8080/t/ringling/scim/v2 --token-file token.txt
  muster idp --as okta --scim-url http://127.0.0.1:8080/t/cirque/scim/v2 --token-file - --deactivate jamie.morgan --once < token.txt
  muster idp --as okta --address 127.0.0.1:9102 --client-id muster --client-secret-file secret.txt \
    --redirect-uri http://127.0.0.1:8080/t/cirque/callback/0199f1c2-5d6e-7a10-8b1e-5f0c2d3e4f50`,
		run: func(ctx context.Context, _ []string) error { return p.playIdP(ctx, f) },
	})
	flags := c.Flags()
	flags.StringVar(&f.as, "as", "", "whom to play: entra or okta")
	flags.StringVar(&f.directory, "directory", "", "ringling, cirque, or a YAML file like theirs (default: ringling as entra, cirque as okta)")
	flags.StringVar(&f.listen, "address", "127.0.0.1:0", "loopback address to serve sign-ins at")
	flags.StringVar(&f.mapping, "mapping", "", "as entra: externalId is mailNickname (default) or objectId")
	flags.StringVar(&f.scimURL, "scim-url", "", "SCIM URL of the tenant; without it nothing is pushed")
	flags.StringVar(&f.tokenFile, "token-file", "", "file whose first line is the SCIM token; - for standard input")
	flags.StringVar(&f.clientID, "client-id", "", "client that may send people to sign in")
	flags.StringVar(&f.clientSecretFile, "client-secret-file", "", "file whose first line is its secret; - for standard input")
	flags.StringArrayVar(&f.redirectURIs, "redirect-uri", nil, "where it may send them back to; may be repeated")
	flags.StringSliceVar(&f.deactivate, "deactivate", nil, "person to deactivate once the directory is pushed; may be repeated")
	flags.StringSliceVar(&f.reactivate, "reactivate", nil, "person to activate again; may be repeated")
	flags.BoolVar(&f.once, "once", false, "push and end; do not serve")
	return required(c, "as")
}

func (p *program) playIdP(ctx context.Context, f *idpFlags) error {
	directory, options, err := p.idpOptions(f)
	if err != nil {
		return err
	}
	listener, err := idpsim.Listen(f.listen)
	if err != nil {
		return usagef("%v; choose another with --address", err)
	}
	defer listener.Close()
	options.URL = "http://" + listener.Addr().String()
	idp, err := idpsim.New(directory, options)
	if err != nil {
		return usagef("%v", err)
	}
	defer idp.Close()
	if err := p.pushAs(ctx, f, idp); err != nil {
		return err
	}
	if f.once {
		return nil
	}
	return p.serveIdP(ctx, idp, listener)
}

// idpOptions completes what the flags leave open and reads the secrets.
func (p *program) idpOptions(f *idpFlags) (idpsim.Directory, idpsim.Options, error) {
	o := idpsim.Options{Persona: f.as, Mapping: f.mapping, SCIMURL: f.scimURL}
	if f.directory == "" {
		f.directory = map[string]string{idpsim.Entra: "ringling", idpsim.Okta: "cirque"}[f.as]
	}
	switch {
	case f.as != idpsim.Entra && f.as != idpsim.Okta:
		return idpsim.Directory{}, o, usagef("--as %q: use entra or okta", f.as)
	case f.scimURL == "" && (f.once || len(f.deactivate)+len(f.reactivate) > 0):
		return idpsim.Directory{}, o, usagef("there is nowhere to push to: give --scim-url and --token-file")
	case f.scimURL != "" && f.tokenFile == "":
		return idpsim.Directory{}, o, usagef("nobody may push without a token: give --token-file; muster token create makes a token")
	case endpointOf(f.scimURL) != "":
		return idpsim.Directory{}, o, usagef("--scim-url %s: leave out /%s, which the pushed requests add by themselves", f.scimURL, endpointOf(f.scimURL))
	case f.tokenFile == "-" && f.clientSecretFile == "-":
		return idpsim.Directory{}, o, usagef("both secrets come from standard input: give a file for one")
	}
	directory, err := idpsim.Load(f.directory)
	if err != nil {
		return directory, o, usagef("%v", err)
	}
	if o.Token, err = p.readSecret(f.tokenFile, "SCIM token"); err != nil {
		return directory, o, err
	}
	secret, err := p.readSecret(f.clientSecretFile, "client secret")
	if f.clientID != "" {
		o.Clients = []idpsim.Client{{ID: f.clientID, Secret: secret, RedirectURIs: f.redirectURIs}}
	}
	return directory, o, err
}

// endpointOf is the endpoint with which an address ends that should be the base of
// them all, or "".
func endpointOf(address string) string {
	last := path.Base(strings.TrimRight(address, "/"))
	for _, endpoint := range []string{"Users", "Groups", "Me", "Bulk", "Schemas", "ResourceTypes", "ServiceProviderConfig"} {
		if strings.EqualFold(last, endpoint) {
			return last
		}
	}
	return ""
}

// pushAs pushes the directory, then the changes that were asked for.
func (p *program) pushAs(ctx context.Context, f *idpFlags, idp *idpsim.IdP) error {
	if f.scimURL == "" {
		return nil
	}
	if err := p.push(ctx, idp, f.as); err != nil {
		return pushError(err)
	}
	d := idp.Directory()
	p.say("pushed %d people and %d groups of %s", len(d.People), len(d.Groups), d.Name)
	for _, change := range []struct {
		people []string
		do     func(context.Context, string) error
		word   string
	}{{f.deactivate, idp.Deactivate, "deactivated"}, {f.reactivate, idp.Reactivate, "reactivated"}} {
		for _, person := range change.people {
			if err := change.do(ctx, person); err != nil {
				return missingPerson(err, d)
			}
			p.say("%s %s", change.word, person)
		}
	}
	return nil
}

func missingPerson(err error, d idpsim.Directory) error {
	if errors.Is(err, idpsim.ErrUnknown) {
		return &missingError{fmt.Sprintf("%v of %s; its people are named by nickname, id, userName or e-mail", err, d.Name)}
	}
	return err
}

func pushError(err error) error {
	if answer, ok := errors.AsType[*idpsim.ResponseError](err); ok && answer.Status == 401 {
		return fmt.Errorf("%w\nthe service provider does not know this token: muster token create makes one", err)
	}
	return err
}

func (p *program) serveIdP(ctx context.Context, idp *idpsim.IdP, listener net.Listener) error {
	home := "http://" + listener.Addr().String()
	err := p.print(map[string]string{"issuer": idp.Issuer(), "home": home}, func(t *table) {
		t.row("issuer", idp.Issuer())
		t.row("people", home+"/")
	})
	if err != nil {
		return err
	}
	p.say("%s listens until Ctrl-C", strings.ToLower(idp.Directory().Name))
	return idp.Serve(ctx, listener)
}
