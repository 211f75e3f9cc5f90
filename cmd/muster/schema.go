package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muster-id/muster/internal/scim"
	"github.com/muster-id/muster/internal/store"
)

func (p *program) schemaCommand() *cobra.Command {
	return group("schema", "A tenant's own SCIM schemas: declare, list, show",
		p.schemaDeclareCommand(),
		p.declaredListCommand(declaredSchemas),
		p.declaredShowCommand(declaredSchemas))
}

func (p *program) resourceTypeCommand() *cobra.Command {
	return group("resource-type", "A tenant's own SCIM resource types: register, list, show",
		p.typeRegisterCommand(),
		p.declaredListCommand(declaredTypes),
		p.declaredShowCommand(declaredTypes))
}

// maxDocument is how much of a file is read; less is refused where it is parsed.
const maxDocument = 1 << 20

// readDocument reads a file, or standard input where path is -.
func (p *program) readDocument(what, path string) ([]byte, error) {
	from := p.in
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, usagef("%s: %v", what, err)
		}
		defer file.Close()
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, maxDocument))
	if err != nil {
		return nil, usagef("%s: %v", what, err)
	}
	return text, nil
}

func (p *program) schemaDeclareCommand() *cobra.Command {
	var tenant, extends string
	c := p.command(verb{
		use:   "declare FILE",
		short: "Declare a schema of a tenant, or its next version",
		long: `Declare a schema (- for standard input): a Schema resource of RFC 7643 §7 in JSON. What it
leaves out has the RFC's default. With --extends it becomes an extension of that resource
type, whose attributes are then part of /Schemas, of requests, filters and answers at once,
and of a user in rules: user.custom.costCenter. All extensions of User that the tenant
declared are in user.custom; a name that two of them define is in none.

Every declaration is a new version and stays as it is; the newest counts. A version that
would make stored values invalid is refused, as is one that the published rules do not
compile with. Attributes that are writeOnly or never returned are held to their type and
then discarded: nothing here could read them.`,
		example: `  muster schema declare acme.json --tenant ringling --extends User --actor ops:dana`,
		run: func(ctx context.Context, args []string) error {
			document, err := p.readDocument("schema", args[0])
			if err != nil {
				return err
			}
			return p.withDirectory(ctx, tenant, "schema declare", func(dir *store.Directory) error {
				d, err := dir.DeclareSchema(ctx, document, extends)
				if err != nil {
					return err
				}
				if !serves(dir, d.Name) {
					p.say("No resource type has it yet: declare it once more with --extends, or register a type of it.")
				}
				return p.printDeclared(d, []store.Declared{d})
			})
		},
	})
	c.Flags().StringVar(&tenant, "tenant", "", "slug of the tenant")
	c.Flags().StringVar(&extends, "extends", "", "resource type that it extends: User, Group, or one that is registered")
	return required(c, "tenant")
}

// serves reports whether one of the tenant's resource types has a schema.
func serves(dir *store.Directory, urn string) bool {
	return slices.ContainsFunc(scim.AllSchemas(dir.ResourceTypes()), func(s *scim.Schema) bool { return s.ID == urn })
}

func (p *program) typeRegisterCommand() *cobra.Command {
	var tenant string
	c := p.command(verb{
		use:   "register FILE",
		short: "Register a resource type of a tenant, or its next version",
		long: `Register a resource type (- for standard input): a ResourceType resource of RFC 7643 §6 in
JSON, of schemas that have been declared. Its resources are then served at its endpoint,
with all that SCIM does to users: create, read, replace, PATCH, delete, filters and
entity tags. They give no roles, are in no group, and nobody signs in as one.

The next version may add optional extensions; the same holds for User and Group.`,
		example: `  muster resource-type register device.json --tenant ringling --actor ops:dana`,
		run: func(ctx context.Context, args []string) error {
			document, err := p.readDocument("resource type", args[0])
			if err != nil {
				return err
			}
			return p.withDirectory(ctx, tenant, "resource-type register", func(dir *store.Directory) error {
				d, err := dir.RegisterResourceType(ctx, document)
				if err != nil {
					return err
				}
				return p.printDeclared(d, []store.Declared{d})
			})
		},
	})
	c.Flags().StringVar(&tenant, "tenant", "", "slug of the tenant")
	return required(c, "tenant")
}

// A declaredKind is what a tenant declares: schemas or resource types.
type declaredKind struct {
	command, called, name string
	list                  func(*store.Directory, context.Context) ([]store.Declared, error)
}

var (
	declaredSchemas = declaredKind{"schema", "URN", "schema", (*store.Directory).Schemas}
	declaredTypes   = declaredKind{"resource-type", "NAME", "resource type", (*store.Directory).DeclaredTypes}
)

func (p *program) declaredListCommand(kind declaredKind) *cobra.Command {
	var tenant string
	c := p.command(verb{
		use:     "list",
		short:   "List every version of every " + kind.name + " that a tenant declared, the newest first",
		example: `  muster ` + kind.command + ` list --tenant ringling`,
		run: func(ctx context.Context, _ []string) error {
			return p.withDirectory(ctx, tenant, kind.command+" list", func(dir *store.Directory) error {
				all, err := kind.list(dir, ctx)
				if err != nil {
					return err
				}
				return p.printDeclared(present(all), all)
			})
		},
	})
	c.Flags().StringVar(&tenant, "tenant", "", "slug of the tenant")
	return required(c, "tenant")
}

func (p *program) declaredShowCommand(kind declaredKind) *cobra.Command {
	var tenant string
	var version int64
	c := p.command(verb{
		use:     "show " + kind.called,
		short:   "Print the document of a " + kind.name + ", every characteristic written out",
		example: `  muster ` + kind.command + ` show ` + kind.sample() + ` --tenant ringling`,
		run: func(ctx context.Context, args []string) error {
			return p.withDirectory(ctx, tenant, kind.command+" show", func(dir *store.Directory) error {
				all, err := kind.list(dir, ctx)
				if err != nil {
					return err
				}
				for _, d := range all {
					if strings.EqualFold(d.Name, args[0]) && (version == 0 || d.Version == version) {
						return p.printDocument(d)
					}
				}
				return missing(store.ErrNotFound, "tenant %q has no such %s; muster %s list --tenant %s shows them", tenant, kind.name, kind.command, tenant)
			})
		},
	})
	c.Flags().StringVar(&tenant, "tenant", "", "slug of the tenant")
	c.Flags().Int64Var(&version, "version", 0, "an older version (default: the newest)")
	return required(c, "tenant")
}

func (k declaredKind) sample() string {
	if k.called == "URN" {
		return "urn:example:params:scim:schemas:extension:2.0:User"
	}
	return "Device"
}

func (p *program) printDeclared(value any, all []store.Declared) error {
	return p.print(value, func(t *table) {
		t.row("NAME", "VERSION", "BY", "DECLARED")
		for _, d := range all {
			t.row(d.Name, d.Version, d.Actor, d.At)
		}
	})
}

// printDocument prints the document itself, as a file that can be declared again;
// as JSON all that is known of the version.
func (p *program) printDocument(d store.Declared) error {
	if p.json {
		return p.print(d, nil)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, d.Document, "", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintln(p.out, indented.String())
	return err
}
