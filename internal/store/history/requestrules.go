package history

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// requestRules are the diagnoses that one request shows by itself. A request may
// show several.
var requestRules = []requestRule{
	{"account-enabled-mapped", accountEnabled},
	{"external-id-mail-nickname", mailNickname},
	{"external-id-address", addressAsExternalID},
	{"external-id-missing", withoutExternalID},
	{"roles-typed-as-group", rolesAreGroups},
	{"manager-not-an-id", managerIsAName},
	{"user-name-missing", withoutUserName},
	{"attribute-ignored", ignoredAttributes},
	{"enterprise-urn-mistyped", mistypedEnterprise},
	{"password-pushed", passwordPushed},
	{"name-mixes-scripts", mixesScripts},
	{"flag-missing", oldDialectRefused},
	{"flag-swallows-path", flagSwallowsPath},
	{"scim-1-client", speaksSCIM1},
	{"strict-refuses", strictRefuses},
	{"filter-refused", filterRefused},
	{"content-type-refused", refusedWith(415)},
	{"body-too-large", refusedWith(413)},
	{"unknown-members-skipped", unknownMembers},
	{"push-before-users", noMemberKnown},
	{"nesting-refused", nestingRefused},
	{"groups-404", missingEndpoint("Groups")},
	{"users-404", missingEndpoint("Users")},
	{"rate-limited", rateLimited},
	{"token-expired", notHeldBecause("expired")},
	{"token-revoked", notHeldBecause("revoked")},
	{"client-secret-expired", secretExpired},
	{"client-not-proved", clientUnproved},
	{"connection-disabled", notHeldBecause("disabled")},
	{"tenant-suspended", notHeldBecause("suspended")},
	{"wrong-base-url", wrongBase},
	{"wrong-tenant-url", wrongTenant},
}

func accountEnabled(rd *reading) (string, bool) {
	return "the body gives accountEnabled a value", rd.writes("Users") && rd.sends("accountEnabled")
}

// joinsByExternalID: people of the connection are found at sign-in by externalId.
func (rd *reading) joinsByExternalID() bool { return rd.connection.MatchAttribute == "externalId" }

func mailNickname(rd *reading) (string, bool) {
	external := rd.value("externalId")
	if !rd.writes("Users") || !rd.joinsByExternalID() || external == "" {
		return "", false
	}
	for _, address := range append(rd.emails(), rd.text("userName")) {
		local, _, found := strings.Cut(address, "@")
		if found && strings.EqualFold(local, external) {
			return fmt.Sprintf("externalId %q is the beginning of %s", external, address), true
		}
	}
	return "", false
}

// emails are the addresses in the body of a user.
func (rd *reading) emails() []string {
	var found []string
	list, _ := rd.member("emails").([]any)
	for _, element := range list {
		email, _ := element.(map[string]any)
		if value, ok := fold(email, "value").(string); ok {
			found = append(found, value)
		}
	}
	return found
}

func addressAsExternalID(rd *reading) (string, bool) {
	external := rd.value("externalId")
	return fmt.Sprintf("externalId %q", external), rd.writes("Users") && rd.joinsByExternalID() && strings.Contains(external, "@")
}

func withoutExternalID(rd *reading) (string, bool) {
	return rd.text("userName") + " was created without externalId",
		rd.creates("Users") && rd.joinsByExternalID() && rd.connection.SignsIn && rd.body != nil && !rd.sends("externalId")
}

func rolesAreGroups(rd *reading) (string, bool) {
	if !rd.writes("Users") {
		return "", false
	}
	for _, a := range rd.named("roles") {
		list, _ := a.value.([]any)
		for _, element := range list {
			role, _ := element.(map[string]any)
			if kind, _ := fold(role, "type").(string); strings.EqualFold(kind, "Group") {
				return fmt.Sprintf("a role of type %s: %v", kind, fold(role, "value")), true
			}
		}
	}
	return "", false
}

func managerIsAName(rd *reading) (string, bool) {
	if !rd.writes("Users") {
		return "", false
	}
	for _, a := range rd.named("manager") {
		name, _ := a.value.(string)
		if object, ok := a.value.(map[string]any); ok {
			name, _ = fold(object, "value").(string)
		}
		if name != "" && !isUUID(name) {
			return fmt.Sprintf("manager %q", name), true
		}
	}
	return "", false
}

func withoutUserName(rd *reading) (string, bool) {
	return "the body has no userName",
		rd.writes("Users") && rd.Method != "PATCH" && rd.Status == 400 && rd.body != nil && strings.TrimSpace(rd.text("userName")) == ""
}

// ignoredAttributes leaves out what another diagnosis says more about.
func ignoredAttributes(rd *reading) (string, bool) {
	var names []string
	for _, n := range rd.notes("Q46", "Q99") {
		covered := strings.EqualFold(attribute{path: n.Path}.name(), "accountEnabled") || strings.Contains(strings.ToLower(n.Path), "enterprise")
		if n.Path != "" && strings.Contains(n.Reason, "unknown attribute") && !covered {
			names = append(names, n.Path)
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", "), len(names) > 0
}

func mistypedEnterprise(rd *reading) (string, bool) {
	for _, n := range rd.notes("Q47", "Q46", "Q99") {
		named := strings.ToLower(n.Path + " " + n.Reason)
		if strings.Contains(named, "urn:") && strings.Contains(named, "enterprise") {
			return n.Reason + " " + n.Path, true
		}
	}
	return "", false
}

// passwordPushed: a password that comes with a new user is Okta's placeholder,
// which cannot be switched off.
func passwordPushed(rd *reading) (string, bool) {
	return "the body gives password a value", rd.writes("Users") && rd.Method != "POST" && rd.sends("password")
}

func oldDialectRefused(rd *reading) (string, bool) {
	return "an operation with a capital, or a boolean as a string", rd.strictRefusal() && rd.oldDialect()
}

func (rd *reading) strictRefusal() bool {
	return rd.Status == 400 && rd.connection.Profile == "strict" && (rd.writes("Users") || rd.writes("Groups"))
}

// oldDialect: Entra writes so without the flag aadOptscim062020, and nobody else does.
func (rd *reading) oldDialect() bool {
	entra := rd.connection.Kind == "entra"
	return slices.ContainsFunc(rd.sent, func(a attribute) bool { return capital(a.op) || entra && (a.value == "True" || a.value == "False") })
}

func capital(op string) bool { return op != "" && unicode.IsUpper(rune(op[0])) }

func strictRefuses(rd *reading) (string, bool) {
	_, flag := oldDialectRefused(rd)
	_, nameless := withoutUserName(rd)
	return rd.Detail, rd.strictRefusal() && !flag && !nameless
}

func flagSwallowsPath(rd *reading) (string, bool) {
	for name := range strings.SplitSeq(strings.ToLower(rd.Query), "&") {
		if strings.HasPrefix(name, "aadoptscim") && strings.Contains(name, "/") {
			return "the query is " + rd.Query, true
		}
	}
	return "", false
}

func speaksSCIM1(rd *reading) (string, bool) {
	list, _ := rd.member("schemas").([]any)
	for _, element := range list {
		if urn, _ := element.(string); strings.HasPrefix(strings.ToLower(urn), "urn:scim:schemas:") {
			return "schemas names " + urn, true
		}
	}
	return "", false
}

func filterRefused(rd *reading) (string, bool) {
	return rd.Query, rd.Method == "GET" && rd.Status == 400 && (rd.ScimType == "invalidFilter" || rd.ScimType == "tooMany")
}

func refusedWith(status int) func(*reading) (string, bool) {
	return func(rd *reading) (string, bool) { return rd.Detail, rd.Status == status }
}

func unknownMembers(rd *reading) (string, bool) {
	notes := rd.notes("Q60")
	if !rd.writes("Groups") || !rd.done() || len(notes) == 0 {
		return "", false
	}
	return notes[0].Reason, true
}

func noMemberKnown(rd *reading) (string, bool) {
	return rd.Detail, rd.writes("Groups") && rd.Status == 400 && strings.HasPrefix(rd.Detail, "members: none of the ")
}

func nestingRefused(rd *reading) (string, bool) {
	refused := []string{"members: a group cannot be its own member", "members: the group would contain itself", "members: groups may stand at most"}
	return rd.Detail, rd.Status == 400 && slices.ContainsFunc(refused, func(text string) bool { return strings.HasPrefix(rd.Detail, text) })
}

// missingEndpoint: a path that ends with the endpoint's name and is not the
// endpoint. One that does not even begin like a tenant's is another diagnosis.
func missingEndpoint(name string) func(*reading) (string, bool) {
	return func(rd *reading) (string, bool) {
		return "the path was " + rd.Path, rd.Status == 404 && strings.EqualFold(rd.last(), name) && rd.endpoint != "" && rd.slug() != ""
	}
}

func rateLimited(rd *reading) (string, bool) {
	return rd.Detail, rd.Status == 429 && rd.notHeld == ""
}

func notHeldBecause(why string) func(*reading) (string, bool) {
	return func(rd *reading) (string, bool) {
		return rd.Holder(), (rd.Status == 401 || rd.Status == 429) && rd.notHeld == why && rd.atHome()
	}
}

// atHome reports whether the request came to an address of its own tenant.
func (rd *reading) atHome() bool {
	return rd.slug() == rd.connection.tenant && (rd.endpoint != "" || rd.asksForToken())
}

// secretExpired and unproved are of an OAuth client that gets no token, for the reason
// that the token endpoint keeps.
func secretExpired(rd *reading) (string, bool) {
	return rd.Holder(), rd.unproved() && strings.HasSuffix(rd.Detail, "the secret has expired")
}

func clientUnproved(rd *reading) (string, bool) {
	_, expired := secretExpired(rd)
	_, why, _ := strings.Cut(rd.Detail, ": ")
	return rd.Holder() + ": " + why, rd.unproved() && !expired
}

func (rd *reading) unproved() bool { return rd.asksForToken() && rd.Status == 401 && rd.notHeld == "" }

func wrongBase(rd *reading) (string, bool) {
	_, found := belowBase(rd.Path)
	return rd.address(), rd.Status == 404 && (rd.slug() == "" || !found)
}

func wrongTenant(rd *reading) (string, bool) {
	_, found := belowBase(rd.Path)
	return rd.address(), found && (rd.Status == 401 || rd.Status == 429) && rd.slug() != rd.connection.tenant
}

// address says where a request came to, and where it should have.
func (rd *reading) address() string {
	return fmt.Sprintf("it came to %s; this tenant's address is /t/%s%s", rd.Path, rd.connection.tenant, base)
}
