package history

import "strings"

// meanings say what an identity provider means by a code of its log, in words for
// whoever has to mend it. The codes are Entra's: of provisioningErrorInfo, and of
// the reason for which an entry was skipped.
var meanings = map[string]string{
	"Conflict":                                   "the service provider has somebody with that userName, or a group of that name, whom Entra does not take for the same: compare the matching attributes",
	"EntryConflict":                              "the service provider has somebody with that userName, or a group of that name, whom Entra does not take for the same: compare the matching attributes",
	"DuplicateTargetEntries":                     "the matching attribute fits several people here: let it be one that no two share",
	"DuplicateSourceEntries":                     "several people in Entra have the same value of the matching attribute: change one",
	"TooManyRequests":                            "the service provider answered 429: Entra tries again in the next cycle",
	"InvalidAnchor":                              "the user or group that Entra had made or matched is not here any more: restart provisioning, and it is made or matched anew",
	"MandatoryFieldsMissing":                     "an attribute that is required, userName as a rule, has no value in Entra",
	"MissingValues":                              "an attribute that is required, userName as a rule, has no value in Entra",
	"SchemaAttributeNotFound":                    "a target of the mapping is no attribute of the schema: correct its name, or remove it",
	"UnprocessableEntity":                        "the service provider did not take a value: its answer below says which",
	"InternalError":                              "a fault of Entra's own, or an answer that it could not read: it tries again",
	"WebExceptionProtocolError":                  "the connection broke, or the answer was no HTTP: look at what stands between Entra and this server",
	"Timeout":                                    "no answer came in time: Entra tries again",
	"NotImplemented":                             "Entra asked for what the service provider does not support",
	"Unauthorized":                               "the token is missing, expired or revoked: give Entra a new one",
	"InvalidCredentials":                         "the token is missing, expired or revoked: give Entra a new one",
	"InsufficientRights":                         "the credential may read, but not change anything: give Entra one that may",
	"MethodNotAllowed":                           "the Tenant URL leads to something else than this tenant's SCIM endpoints",
	"NotPermitted":                               "the credential may not do that: give Entra one that may",
	"ImportSkipped":                              "Entra has left out what it could not read of the directory",
	"EntrySynchronizationSkipped":                "the mapping needs a value that this person does not have in Entra",
	"NotEffectivelyEntitled":                     "the person is not assigned to the application, or only by a group within a group: assign them, or a group that they are a direct member of",
	"NotEffectivelyEntitledAndNotYetProvisioned": "the person is not assigned to the application: assign them, or a group that they are a direct member of",
	"NotInScope":                                 "a scoping filter of the mapping leaves the person out",
	"UnableToResolve":                            "a reference, to a manager or a member, leads to somebody who is not provisioned yet: Entra tries again",
	"UnresolvableReference":                      "a reference, to a manager or a member, leads to somebody who is not provisioned yet: Entra tries again",
	"RedundantExport":                            "both sides say the same already: nothing had to be sent",
	"RedundantSoftDelete":                        "the person was deactivated before: nothing had to be sent",

	"SystemForCrossDomainIdentityManagementServiceIncompatible":         "an answer was not what SCIM wants: a 404 where a list should be means that the Tenant URL is wrong",
	"SystemForCrossDomainIdentityManagementMultipleEntriesInResponse":   "the matching attribute fits several people here: let it be one that no two share",
	"SystemForCrossDomainIdentityManagementCredentialValidationFailure": "the token does not hold: give Entra a new one",
}

// phrases say the same of what stands in the reason of Okta's events.
var phrases = []struct{ part, meaning string }{
	{"unauthorized", "the token is missing, expired or revoked: give Okta a new one"},
	{"forbidden", "the credential may read, but not change anything: give Okta one that may"},
	{"too many requests", "the service provider answered 429: Okta waits and tries again, ten times at most"},
	{"conflict", "the service provider has somebody with that userName whom Okta does not take for the same: link them, or change one of the two"},
	{"bad request", "the service provider did not take a value: its answer below says which"},
	{"matching user not found", "Okta looked for the person here and found nobody: assign them anew, so that they are created"},
	{"not found", "what Okta wanted to change is not here any more: unassign and assign the person, or push the group anew"},
	{"timed out", "no answer came in time: retry the task in Okta"},
	{"connection", "the connection broke: look at what stands between Okta and this server"},
}

// meaning is what the provider means by the event, or "" where it says nothing.
func (e Event) meaning() string {
	if text, known := meanings[e.Code]; known {
		return text
	}
	if e.Source != "okta" || strings.EqualFold(e.Status, "success") {
		return ""
	}
	reason := strings.ToLower(e.Reason)
	for _, p := range phrases {
		if strings.Contains(reason, p.part) {
			return p.meaning
		}
	}
	return ""
}
