package scim

// Profile says how a connection's requests are read.
type Profile string

// The profiles.
const (
	// Lenient accepts what provisioning clients customarily send and records
	// each repair as a [Note].
	Lenient Profile = "lenient"
	// Strict accepts what the RFCs allow and nothing else.
	Strict Profile = "strict"
)

// Note records one thing that was ignored or repaired, so that a 2xx never
// hides it: the provisioning log shows notes and counts them.
type Note struct {
	Quirk  string // the customary deviation's number: "Q46"
	Path   string // the attribute concerned, as the schema or else the client spells it
	Reason string // what was done, for an administrator
}
