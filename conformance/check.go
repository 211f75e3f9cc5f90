package conformance

import "slices"

// A Check shows rows that no transcript can express, against any service provider:
// what must hold of every value, or of many requests.
type Check struct {
	Name  string   // "schemas/types"
	Rows  []string // that it shows
	Needs []string // as of a transcript
	Run   func(*Trial)
}

// Checks returns every check of this package.
func Checks() []Check {
	return slices.Concat(
		schemaChecks, resourceChecks, featureChecks,
		httpChecks,
		filterChecks,
		pageChecks,
		clientChecks,
		injectionChecks,
		interopChecks,
		bulkChecks,
		cursorChecks,
	)
}
