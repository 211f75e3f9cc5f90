package history

// diagnoses are all that there are, by id. Their words are for whoever runs the
// customer's directory: what happens, what it leads to, and where to change what.
var diagnoses = func() map[string]Diagnosis {
	byID := map[string]Diagnosis{}
	for _, list := range [][]Diagnosis{mappingDiagnoses, dialectDiagnoses, groupDiagnoses, accessDiagnoses, signInDiagnoses, ruleDiagnoses} {
		for _, d := range list {
			byID[d.ID] = d
		}
	}
	return byID
}()

// Where settings are.
const (
	entraUsers = "Enterprise applications → the application → Provisioning → Attribute mapping → Provision Microsoft Entra ID Users: "
	entraAdmin = "Enterprise applications → the application → Provisioning → Admin credentials: "
	entraScope = "Enterprise applications → the application → Users and groups: "
	oktaToApp  = "Applications → the application → Provisioning → To App: "
	oktaAPI    = "Applications → the application → Provisioning → Integration: "
	oktaPush   = "Applications → the application → Push Groups: "
)

// mappingDiagnoses are of attributes that are mapped wrongly.
var mappingDiagnoses = []Diagnosis{
	{
		ID:    "account-enabled-mapped",
		Title: "accountEnabled is mapped to active",
		Text: "accountEnabled says whether somebody may sign in to the directory, not whether they are assigned to this application. " +
			"Who is unassigned or leaves the scope is never deactivated here.",
		fixes: map[string]string{
			"entra": entraUsers + `give the target active the expression Switch([IsSoftDeleted], , "False", "True", "True", "False"), and delete a target called accountEnabled. Then restart provisioning.`,
			"":      "Map to active what says that the person is assigned to this application, and send no attribute accountEnabled.",
		},
	},
	{
		ID:    "active-not-mapped",
		Title: "active is never sent",
		Text: "People are created, and nothing says whether they are active. Nobody can be deactivated: who leaves stays active " +
			"until the directory deletes them, if it ever does.",
		fixes: map[string]string{
			"entra": entraUsers + `add the target active with the expression Switch([IsSoftDeleted], , "False", "True", "True", "False"). Then restart provisioning.`,
			"okta":  oktaToApp + "switch on Deactivate Users, and Create Users and Update User Attributes with it.",
			"":      "Let the client send active: true when it creates somebody, and active: false when they leave.",
		},
	},
	{
		ID:    "external-id-mail-nickname",
		Title: "externalId is the mail nickname",
		Text: "externalId is the part of the address before the @. At sign-in people are found by an identifier that never changes, " +
			"which this is not: whoever is provisioned so cannot sign in, and a nickname can be given to somebody else later.",
		fixes: map[string]string{
			"entra": entraUsers + "change the source of the target externalId from mailNickname to objectId. Then restart provisioning, so that everybody is matched anew.",
			"okta":  oktaToApp + "map externalId to user.getInternalProperty(\"id\"), the id of the Okta user.",
			"":      "Map to externalId the identifier that the directory never changes and never gives to somebody else.",
		},
	},
	{
		ID:    "external-id-address",
		Title: "externalId is an e-mail address",
		Text: "An address changes when somebody marries, and is given to somebody else when they leave. At sign-in people are found by " +
			"externalId: with an address there they cannot sign in.",
		fixes: map[string]string{
			"entra": entraUsers + "change the source of the target externalId to objectId. Then restart provisioning.",
			"okta":  oktaToApp + "map externalId to user.getInternalProperty(\"id\"), the id of the Okta user.",
			"":      "Map to externalId the identifier that the directory never changes and never gives to somebody else.",
		},
	},
	{
		ID:    "external-id-missing",
		Title: "people are created without externalId",
		Text: "This connection finds people at sign-in by their externalId. Who has none is not found: they are provisioned, hold roles, " +
			"and cannot enter.",
		fixes: map[string]string{
			"entra": entraUsers + "add the target externalId with the source objectId. Then restart provisioning.",
			"okta":  oktaToApp + "map externalId to user.getInternalProperty(\"id\"), the id of the Okta user.",
			"":      "Map to externalId the identifier that the ID Token carries in the connection's match claim.",
		},
	},
	{
		ID:    "roles-typed-as-group",
		Title: "groups are sent as roles",
		Text: "The attribute roles carries groups. Nothing here makes a group of them: no rule that names the group sees it, " +
			"and nobody gets a role by it.",
		fixes: map[string]string{
			"entra": "Provisioning → Attribute mapping → Provision Microsoft Entra ID Groups: switch it on, and assign the groups to the application. In the mapping of users, the target roles is for app roles: use the expression AppRoleAssignmentsComplex([appRoleAssignments]) there, with type String and not Reference to Group.",
			"okta":  oktaPush + "push the groups, and take them out of the mapping of the attribute roles.",
			"":      "Push groups as groups, to /Groups with their members, and leave roles for roles.",
		},
	},
	{
		ID:    "manager-not-an-id",
		Title: "manager is a name, not an id",
		Text: "manager takes the id of another user here. A name or an address is kept as it came, but leads to nobody: rules and " +
			"approvals that ask for somebody's manager find none.",
		fixes: map[string]string{
			"entra": entraUsers + "map the target urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager to manager, with type Reference.",
			"okta":  oktaToApp + "leave manager out, or map managerId to the id that this service provider gave the manager.",
			"":      "Send as manager.value the id that this service provider answered when the manager was created.",
		},
	},
	{
		ID:    "user-name-missing",
		Title: "people without a userName are refused",
		Text:  "A user needs a userName. Whoever has none in the directory, or whose userName is mapped from an empty attribute, is refused each time.",
		fixes: map[string]string{
			"entra": entraUsers + "map the target userName to userPrincipalName, which everybody has.",
			"okta":  oktaToApp + "set the application's username format to the Okta username.",
			"":      "Map to userName an attribute that everybody has.",
		},
	},
	{
		ID:    "attribute-ignored",
		Title: "attributes are sent that nobody declared",
		Text:  "No schema of this tenant has them: they were ignored, the rest was done. Rules cannot read them.",
		fixes: map[string]string{
			"entra": entraUsers + "delete the mapping, or have the attribute declared as an extension of this tenant and use its full name as the target.",
			"okta":  oktaToApp + "remove the attribute from the mapping, or have it declared as an extension of this tenant and set its external namespace to the extension's URN.",
			"":      "Remove them from the mapping, or have them declared as an extension of this tenant.",
		},
	},
	{
		ID:    "enterprise-urn-mistyped",
		Title: "the enterprise extension is named with a slip",
		Text: "What stands under the mistyped name is ignored: employee number, department, manager and the like are missing here, " +
			"and rules that read them grant nothing.",
		fixes: map[string]string{
			"": "Write the targets as urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department, with a colon between 2.0 and User.",
		},
	},
	{
		ID:    "password-pushed",
		Title: "passwords are pushed",
		Text:  "Nobody signs in with a password here: they were discarded unread. Each one that travels is one that can leak.",
		fixes: map[string]string{
			"okta": oktaToApp + "switch off Sync Password.",
			"":     "Remove password from the mapping.",
		},
	},
	{
		ID:    "name-mixes-scripts",
		Title: "a name can pass for another",
		Text: "A word of it has letters of scripts that look alike, such as a Cyrillic а in a Latin admin. It was taken as it came, and is " +
			"another name than the one that it looks like: whoever approves by eye may take one for the other.",
		fixes: map[string]string{
			"": "Look the name up in the directory by the code points. A slip of the keyboard is mended there; if somebody meant it to pass for another, lock them here (muster user lock) and find out who made it.",
		},
	},
}

// dialectDiagnoses are of how a client speaks.
var dialectDiagnoses = []Diagnosis{
	{
		ID:    "flag-missing",
		Title: "Entra speaks its old dialect to a strict connection",
		Text: "Without the flag aadOptscim062020 Entra writes operations with capitals and booleans as strings. " +
			"This connection is read by the letter of the RFCs, so every such update is refused.",
		fixes: map[string]string{
			"": entraAdmin + "append ?aadOptscim062020 to the Tenant URL, test the connection and save. Or let the connection be read leniently here (muster connection set NAME --profile lenient).",
		},
	},
	{
		ID:    "flag-half-applied",
		Title: "Entra speaks two dialects",
		Text: "Some updates come in the dialect of the flag aadOptscim062020 and some in the old one: on-demand provisioning ignores the flag, " +
			"or two jobs push to this connection and only one has it. Both are understood here; what one removes the other may add again.",
		fixes: map[string]string{
			"": entraAdmin + "let every job that pushes to this connection have the same Tenant URL, with ?aadOptscim062020 at its end, and delete a job that is no longer used.",
		},
	},
	{
		ID:    "flag-swallows-path",
		Title: "the flag stands where the path should",
		Text: "The address was joined behind the flag: …?aadOptscim062020/Users asks for nothing. No request of that client arrives " +
			"at an endpoint.",
		fixes: map[string]string{
			"entra": "In a tool that joins addresses by itself, Microsoft's Logic App template for one, leave the flag out of the endpoint. " + entraAdmin + "the flag belongs at the very end of the Tenant URL.",
			"":      "Leave ?aadOptscim062020 out of the address.",
		},
	},
	{
		ID:    "scim-1-client",
		Title: "the client speaks SCIM 1.1",
		Text:  "The body names a schema of SCIM 1.1. What is called alike was taken over; changes of group members and extensions of that version are not understood.",
		fixes: map[string]string{
			"": "Choose the SCIM 2.0 connector: in OneLogin the application \"SCIM Provisioner with SAML (SCIM v2 Enterprise)\" instead of Core v1.1.",
		},
	},
	{
		ID:    "strict-refuses",
		Title: "a strict connection refuses what clients customarily send",
		Text:  "This connection is read by the letter of the RFCs. What its client sends is not, and is refused; nothing was changed.",
		fixes: map[string]string{
			"": "Let the connection be read leniently here (muster connection set NAME --profile lenient): lenience understands every customary dialect, and writes into this log what it repaired. Or mend what the refusal's detail names in the client.",
		},
	},
	{
		ID:    "filter-refused",
		Title: "the client looks for people by a filter that is refused",
		Text:  "A client that cannot find who is there creates them again, or gives up. Nothing was changed.",
		fixes: map[string]string{
			"entra": entraUsers + "let the matching attribute be userName or externalId.",
			"okta":  oktaAPI + "let the unique identifier field be userName.",
			"":      "Look for people by userName eq \"…\" or externalId eq \"…\".",
		},
	},
	{
		ID:    "content-type-refused",
		Title: "bodies come with a media type that is not read",
		Text:  "A body is application/scim+json or application/json, in UTF-8 and not compressed. Others are refused unread.",
		fixes: map[string]string{
			"": "Set the client's Content-Type to application/scim+json, and no Content-Encoding.",
		},
	},
	{
		ID:    "body-too-large",
		Title: "a body is too large",
		Text:  "It was refused unread, so nothing of it was done.",
		fixes: map[string]string{
			"okta": oktaPush + "push the group by its rules in smaller groups; a group takes 100,000 members.",
			"":     "Send the members of a large group in several PATCH requests.",
		},
	},
}

// groupDiagnoses are of groups and their members.
var groupDiagnoses = []Diagnosis{
	{
		ID:    "unknown-members-skipped",
		Title: "members are pushed who are not provisioned",
		Text: "The group was changed, but without the members that nobody here has the id of. They hold no role of the group, until " +
			"the directory sends them again after they are provisioned.",
		fixes: map[string]string{
			"entra": entraScope + "assign the group itself or its members to the application, so that they are in scope as users. A member that was skipped comes again with the next cycle.",
			"okta":  "Applications → the application → Assignments: assign the group's members to the application. Then " + oktaPush + "Push Now.",
			"":      "Create users before they become members, and send as members[].value the id that was answered.",
		},
	},
	{
		ID:    "push-before-users",
		Title: "a group is pushed before its members",
		Text: "A replacement of all members named nobody who is here. It was refused, because it would have emptied the group: its members " +
			"of before keep their roles.",
		fixes: map[string]string{
			"okta": "Applications → the application → Assignments: assign the group's members to the application and wait until they are provisioned. Then " + oktaPush + "Push Now.",
			"":     "Let users be provisioned first, then groups.",
		},
	},
	{
		ID:    "nesting-refused",
		Title: "a nesting of groups is refused",
		Text:  "The group would contain itself, or stand too deep in other groups. Nothing was changed.",
		fixes: map[string]string{
			"": "Take the group out of the circle in the directory, or push its members instead of the group.",
		},
	},
	{
		ID:    "nested-groups-not-sent",
		Title: "a group that a rule names has no members",
		Text: "The group is here and members of other groups arrive, but it has none. Where the directory shows members, they are " +
			"in groups within it: those are not sent, so nobody gets the rule's roles.",
		fixes: map[string]string{
			"entra": entraScope + "assign the inner groups to the application as well, and name them in the rule; or make the outer group dynamic, with the people as direct members. Entra does not send members of nested groups.",
			"okta":  oktaPush + "push the groups that hold the people themselves.",
			"":      "Push the groups that hold the people themselves.",
		},
	},
	{
		ID:    "duplicate-group-name-loop",
		Title: "a group is created again and again",
		Text: "A group of that name is here already, and the client does not find it or does not take it: it tries to create it each cycle, " +
			"and never pushes its members.",
		fixes: map[string]string{
			"entra": "Provisioning → Attribute mapping → Provision Microsoft Entra ID Groups: let displayName be a matching attribute. If two groups have the same name in the directory, rename one.",
			"okta":  oktaPush + "link the group to the existing one instead of creating it. If two groups have the same name, rename one.",
			"":      "Look for the group by displayName before creating it, and rename one of two that have the same name.",
		},
	},
	{
		ID:    "groups-404",
		Title: "the client asks for Groups where there are none",
		Text: "The address behind which the client looks for /Groups is not that of this tenant's endpoints. Entra puts the whole job into " +
			"quarantine for it; no group is pushed.",
		fixes: map[string]string{
			"entra": entraAdmin + "let the Tenant URL end with /scim/v2, with nothing behind it but the flag.",
			"okta":  oktaAPI + "let the SCIM connector base URL end with /scim/v2.",
			"":      "Let the base URL end with /scim/v2; the client appends /Groups itself, with a capital.",
		},
	},
	{
		ID:    "users-404",
		Title: "the client asks for Users where there are none",
		Text:  "The address behind which the client looks for /Users is not that of this tenant's endpoints. Nobody is provisioned.",
		fixes: map[string]string{
			"entra": entraAdmin + "let the Tenant URL end with /scim/v2, with nothing behind it but the flag.",
			"okta":  oktaAPI + "let the SCIM connector base URL end with /scim/v2.",
			"":      "Let the base URL end with /scim/v2; the client appends /Users itself, with a capital.",
		},
	},
}
