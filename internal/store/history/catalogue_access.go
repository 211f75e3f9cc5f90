package history

// accessDiagnoses are of a client that does not get in, or does not come.
var accessDiagnoses = []Diagnosis{
	{
		ID:    "token-expired",
		Title: "the token has expired",
		Text: "Every request is refused, so nothing changes here: who is deactivated in the directory keeps their access. " +
			"Entra puts the job into quarantine, and ends it after 28 days.",
		fixes: map[string]string{
			"entra": "Make a new token (muster token create). " + entraAdmin + "paste it as Secret Token, test the connection, save, and restart provisioning.",
			"okta":  "Make a new token (muster token create). " + oktaAPI + "paste it, test the credentials and save.",
			"":      "Make a new token (muster token create) and give it to the client.",
		},
	},
	{
		ID:    "token-revoked",
		Title: "the token was revoked",
		Text: "Every request is refused, so nothing changes here: who is deactivated in the directory keeps their access. " +
			"If nobody of yours uses this token any more, somebody else has it.",
		fixes: map[string]string{
			"entra": "Make a new token (muster token create). " + entraAdmin + "paste it as Secret Token, test the connection, save, and restart provisioning.",
			"okta":  "Make a new token (muster token create). " + oktaAPI + "paste it, test the credentials and save.",
			"":      "Make a new token (muster token create) and give it to the client; find out who else uses the old one.",
		},
	},
	{
		ID:    "client-secret-expired",
		Title: "the secret of the OAuth client has expired",
		Text: "The client gets no access token, so that from the end of its last one nothing changes here: who is deactivated in the directory keeps " +
			"their access.",
		fixes: map[string]string{
			"entra": "Make a new secret (muster client secret add). " + entraAdmin + "paste it as Client Secret, test the connection, save, and restart provisioning.",
			"okta":  "Make a new secret (muster client secret add). " + oktaAPI + "paste it, test the credentials and save.",
			"":      "Make a new secret (muster client secret add) and give it to the client.",
		},
	},
	{
		ID:    "client-not-proved",
		Title: "the OAuth client asks for access tokens and cannot prove itself",
		Text: "It is answered invalid_client, whatever is wrong; the evidence says what. Without a token nothing changes here. If it is none of " +
			"your doing, somebody tries secrets.",
		fixes: map[string]string{
			"entra": entraAdmin + "enter Client Identifier and Client Secret anew (muster client secret add makes one), or compare issuer, subject and audience with what muster client list says; test the connection and save.",
			"okta":  oktaAPI + "enter the client id and a secret anew (muster client secret add makes one), test the credentials and save.",
			"":      "Enter the client id and a secret anew (muster client secret add makes one), or compare issuer, subject and audience with what is set up here.",
		},
	},
	{
		ID:    "token-expires-soon",
		Title: "the last token or secret of the connection expires soon",
		Text:  "From then on nothing changes here any more: who is deactivated in the directory keeps their access.",
		fixes: map[string]string{
			"entra": "Make its successor while it is valid (muster token rotate). " + entraAdmin + "paste it as Secret Token, test the connection and save.",
			"okta":  "Make its successor while it is valid (muster token rotate). " + oktaAPI + "paste it, test the credentials and save.",
			"":      "Make its successor while it is valid (muster token rotate) and give it to the client.",
		},
	},
	{
		ID:    "wrong-tenant-url",
		Title: "the token comes to another tenant's address",
		Text:  "The token is of this tenant, the address is not. It was refused, as any token that is not of an address; nobody is provisioned.",
		fixes: map[string]string{
			"entra": entraAdmin + "let the Tenant URL be that of this tenant, which the evidence names.",
			"okta":  oktaAPI + "let the SCIM connector base URL be that of this tenant, which the evidence names.",
			"":      "Let the base URL be that of this tenant, which the evidence names.",
		},
	},
	{
		ID:    "wrong-base-url",
		Title: "the address lacks the tenant or the version",
		Text:  "At that address there is nothing. Every request is answered 404; nobody is provisioned.",
		fixes: map[string]string{
			"entra": entraAdmin + "let the Tenant URL be the one that the evidence names.",
			"okta":  oktaAPI + "let the SCIM connector base URL be the one that the evidence names.",
			"":      "Let the base URL be the one that the evidence names.",
		},
	},
	{
		ID:    "connection-disabled",
		Title: "the connection is switched off here",
		Text:  "Every request is refused, and nobody signs in through this connection, until it is switched on again.",
		fixes: map[string]string{
			"": "If it should be in use: muster connection enable. If not, switch off provisioning in the directory, or it goes into quarantine.",
		},
	},
	{
		ID:    "tenant-suspended",
		Title: "the tenant is suspended",
		Text:  "Every request is refused, and nobody of this tenant signs in.",
		fixes: map[string]string{
			"": "Whoever runs this service lifts the suspension (muster tenant resume); nothing in the directory has to change.",
		},
	},
	{
		ID:    "rate-limited",
		Title: "the client asks faster than it may",
		Text: "Requests were answered 429. Okta waits and repeats them, ten times at most; Entra counts each as a failure, and a job with too many " +
			"goes into quarantine.",
		fixes: map[string]string{
			"entra": "Provisioning → Settings: provision only assigned users and groups, and let one job push to this tenant, not several. Whoever runs this service can raise the limit.",
			"okta":  "Workflows and imports that run at the same time share the limit: let them follow one another. Whoever runs this service can raise the limit.",
			"":      "Wait as long as Retry-After says before the next request. Whoever runs this service can raise the limit.",
		},
	},
	{
		ID:    "silent-three-cycles",
		Title: "Entra has been silent for three cycles",
		Text: "Entra asks at least every 40 minutes, if only to see that we are there. It has not for two hours: what changed in the directory " +
			"since then has not arrived, deactivations neither.",
		fixes: map[string]string{
			"": "Enterprise applications → the application → Provisioning → Overview: see whether the job is off, paused or in quarantine, mend what it names, and restart provisioning.",
		},
	},
	{
		ID:    "never-connected",
		Title: "the identity provider has never called",
		Text:  "The connection was made a day ago or more, and no request has come with a token of it. Nobody is provisioned through it.",
		fixes: map[string]string{
			"entra": entraAdmin + "enter the Tenant URL and the Secret Token, test the connection, save; then set the provisioning status to on.",
			"okta":  oktaAPI + "enter the base URL and the token, test the credentials, save; then " + oktaToApp + "switch on Create, Update and Deactivate.",
			"":      "Enter the base URL and the token in the identity provider, and switch provisioning on.",
		},
	},
	{
		ID:    "duplicate-user-name-loop",
		Title: "a person is created again and again",
		Text: "Somebody with that userName is here already. The client does not find them by what it looks for, or finds somebody it does not " +
			"take for the same, and tries to create them each cycle. What changes about the person in the directory does not arrive.",
		fixes: map[string]string{
			"entra": entraUsers + "let userName be a matching attribute, with precedence after externalId, so that Entra finds who was made by hand or before externalId was changed. If two people in the directory have the same address, change one.",
			"okta":  oktaToApp + "let the unique identifier be userName; then Applications → the application → Assignments: retry the failed person. If two people in Okta have the same application username, change one.",
			"":      "Look for people by userName before creating them.",
		},
	},
}

// signInDiagnoses are of people who are provisioned and sign in.
var signInDiagnoses = []Diagnosis{
	{
		ID:    "person-never-joined",
		Title: "people are provisioned, but not found when they sign in",
		Text: "Somebody signed in whom the directory has provisioned, under another externalId than the one the sign-in carries. " +
			"They were refused, and will be each time.",
		fixes: map[string]string{
			"entra": entraUsers + "map objectId (not mailNickname) to externalId, then restart provisioning: the sign-in carries the objectId as oid.",
			"okta":  oktaToApp + "map externalId to user.getInternalProperty(\"id\"): the sign-in carries the Okta user's id as sub.",
			"":      "Map the same immutable identifier to externalId that the sign-in carries in the connection's match claim.",
		},
	},
	{
		ID:    "sign-in-not-provisioned",
		Title: "people sign in who were never provisioned",
		Text:  "They may sign in at the identity provider, but nobody has sent them here. They were refused: who is not provisioned does not enter.",
		fixes: map[string]string{
			"entra": entraScope + "assign them, or a group they are direct members of. Somebody new arrives within a cycle of about 40 minutes; Provision on demand does it at once.",
			"okta":  "Applications → the application → Assignments: assign them, or a group of theirs, and look there for a push that failed.",
			"":      "Assign them to the application in the identity provider, and look there for a push that failed.",
		},
	},
	{
		ID:    "external-id-shared",
		Title: "two people have the same externalId",
		Text:  "At sign-in both would fit, so neither is let in.",
		fixes: map[string]string{
			"entra": entraUsers + "map objectId to externalId, which no two people share, then restart provisioning.",
			"okta":  oktaToApp + "map externalId to user.getInternalProperty(\"id\"), which no two people share.",
			"":      "Map to externalId an identifier that no two people share.",
		},
	},
}

// ruleDiagnoses are of rules that a directory, or time, has overtaken.
var ruleDiagnoses = []Diagnosis{
	{
		ID:    "rule-group-renamed",
		Title: "a group that a rule names was renamed",
		Text:  "The rule looks for the old name and finds nobody: who held roles by it has lost them.",
		fixes: map[string]string{
			"": "Give the group its old name again in the directory, or publish rules with the new one (muster rules publish). A rule that names the group by id or externalId survives a rename.",
		},
	},
	{
		ID:    "rule-group-missing",
		Title: "a rule names a group that is not here",
		Text:  "Nobody holds a role by it: the group was never pushed, or was deleted, or is spelled otherwise in the directory.",
		fixes: map[string]string{
			"entra": entraScope + "assign the group to the application, so that it is pushed; or correct the name in the rule (muster rules publish).",
			"okta":  oktaPush + "push the group; or correct the name in the rule (muster rules publish).",
			"":      "Push the group, or correct the name in the rule (muster rules publish).",
		},
	},
	{
		ID:    "rule-fails",
		Title: "a rule cannot be evaluated for somebody",
		Text:  "Where a rule cannot tell, it grants nothing, so these people are without its roles. Nothing in the directory is wrong with them.",
		fixes: map[string]string{
			"": "Read why with muster explain, correct the rule and publish it (muster rules publish).",
		},
	},
	{
		ID:    "rules-unreadable",
		Title: "the published rules cannot be read",
		Text:  "No rule grants anything to anybody of this tenant. A role that they grant was taken from the tenant, or an attribute that they read is no longer declared.",
		fixes: map[string]string{
			"": "Publish rules that hold as things are now (muster rules publish); it says what is wrong with the old ones.",
		},
	},
}
