// Package rules holds the demo tenants' rule sets. Each carries its own tests,
// which run when the set is published.
package rules

import "embed"

// Files are the rule sets, one file a tenant: ringling.yaml, cirque.yaml.
//
//go:embed *.yaml
var Files embed.FS
