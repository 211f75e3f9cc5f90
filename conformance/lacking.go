package conformance

import (
	"slices"
	"strings"
)

// empty is the feature of a service provider that holds no users and groups of others.
const empty = "empty"

// interrupted is why nothing more was played once the run's context had ended.
const interrupted = "the run was interrupted"

// actors are what transcripts name besides the base URL and the token; doc.go says what
// each is.
var actors = []string{"neighbour", "siblingToken", "strictToken", "personToken", "tokenURL"}

// why says in plain words what was lacking. Of several things it is the one about which
// least can be done: an empty tenant does not help what takes a second one too.
func why(lacking []string) string {
	has := func(need string) bool { return slices.Contains(lacking, need) }
	features := slices.DeleteFunc(slices.Clone(lacking), func(need string) bool { return need == empty })
	switch {
	case len(lacking) == 0:
		return ""
	case has("doctor"):
		return "they are about the diagnoses of Muster's own request doctor, and played by its tests alone"
	case slices.ContainsFunc(actors, has):
		return "they take more than a URL and one token (a second tenant, a second connection, a person's access token or an OAuth client), and are played by Muster's own tests alone"
	case has("TestResource"):
		return "the service provider has no resource type TestResource, which the requirements describe for tests"
	case len(features) > 0:
		return "the service provider says that it does not support " + strings.Join(features, " and ")
	}
	return "the service provider holds users or groups already: run it with a tenant that holds none, where lists can be counted"
}
