package store

import "slices"

// A Reason says why a decision is no. The set is closed: an application may
// switch on it, and every reason has a page for the person it concerns.
type Reason string

// The reasons, in the order in which they are looked at.
const (
	TenantSuspended     Reason = "tenant_suspended"     // the tenant is switched off
	ApplicationDisabled Reason = "application_disabled" // the application is switched off
	ConnectionDisabled  Reason = "connection_disabled"  // the identity provider's connection is switched off
	AmbiguousIdentity   Reason = "ambiguous_identity"   // two living users fit the identity
	JoinMismatch        Reason = "join_mismatch"        // provisioned, but under another externalId than the sign-in's claim
	NotProvisioned      Reason = "not_provisioned"      // no living user fits
	Locked              Reason = "locked"               // an admin of ours locked the person
	Inactive            Reason = "inactive"             // the customer's directory switched the person off
	Expired             Reason = "expired"              // what the sign-in began with has ended since
	RulesUnreadable     Reason = "rules_unreadable"     // the tenant's rules cannot be read: nobody's roles are known
	NoRole              Reason = "no_role"              // the person has no role for the application
	TooManyRoles        Reason = "too_many_roles"       // more than a token may carry
)

// Reasons lists the closed set.
func Reasons() []Reason {
	return slices.Clone([]Reason{
		TenantSuspended, ApplicationDisabled, ConnectionDisabled, AmbiguousIdentity, JoinMismatch, NotProvisioned,
		Locked, Inactive, Expired, RulesUnreadable, NoRole, TooManyRoles,
	})
}
