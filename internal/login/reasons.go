package login

import "net/http"

// A page is what a person reads who may not enter: what happened, and what to do.
type page struct {
	status int
	Title  string
	Why    string
	Do     string
}

const askAdmin = "Ask your organisation’s IT department, and tell them the reason below."

// pages has one page for every reason: those of store's decisions, and those of
// this door. No text says anything that came with a request.
var pages = map[string]page{
	// Decisions about the person (403).
	"not_provisioned": {http.StatusForbidden, "You do not have access yet",
		"You signed in, but your organisation has not given you access here.",
		"Ask your organisation’s IT department to assign you to this application. New assignments can take up to an hour to arrive."},
	"inactive": {http.StatusForbidden, "Your access has been switched off",
		"Your organisation has deactivated you here.",
		"If that is a mistake, ask your organisation’s IT department to activate you again."},
	"locked": {http.StatusForbidden, "Your access is locked",
		"An administrator of this service has locked your access.",
		"Ask the support of this service to unlock it."},
	"ambiguous_identity": {http.StatusForbidden, "We cannot tell who you are",
		"More than one person of your organisation fits this sign-in, so nobody is let in.",
		"Ask your organisation’s IT department: two people were given the same identifier (externalId)."},
	"join_mismatch": {http.StatusForbidden, "Your organisation’s set-up needs a change",
		"You signed in, but the identifier of the sign-in is not the one your organisation sends with its people.",
		"Show this page to your organisation’s IT department. Nothing is wrong with your password."},
	"no_role": {http.StatusForbidden, "You have no role in this application",
		"You are known here, but none of your groups gives you a role in this application.",
		"Ask your organisation’s IT department which group you need."},
	"tenant_suspended": {http.StatusForbidden, "Your organisation’s access is suspended",
		"Nobody of your organisation can sign in at the moment.", askAdmin},
	"connection_disabled": {http.StatusForbidden, "This way to sign in is switched off",
		"Your organisation’s identity provider has been disconnected from this service.", askAdmin},
	"application_disabled": {http.StatusForbidden, "This application is switched off",
		"The application you came from cannot be signed in to at the moment.",
		"Ask the support of the application."},
	"rules_unreadable": {http.StatusForbidden, "Your roles cannot be determined",
		"Your organisation’s role rules cannot be read, so nobody is let in by them.", askAdmin},
	"too_many_roles": {http.StatusForbidden, "You have too many roles",
		"You hold more roles in this application than a sign-in can carry.", askAdmin},
	"expired": {http.StatusForbidden, "This took too long",
		"The sign-in was not finished in time.",
		"Go back to the application and sign in again."},

	// Faults of the organisation or its identity provider.
	"no_connection": {http.StatusForbidden, "Your organisation has not set up sign-in",
		"There is no identity provider at which people of your organisation could sign in.", askAdmin},
	"idp_denied": {http.StatusForbidden, "Your identity provider did not let you in",
		"The sign-in was cancelled, or your organisation’s identity provider refused it.",
		"Go back to the application and try again, or ask your organisation’s IT department."},
	"idp_refused": {http.StatusForbidden, "The sign-in could not be verified",
		"What your organisation’s identity provider answered did not prove who you are.",
		"Go back to the application and sign in again. If it happens twice, ask your organisation’s IT department."},
	"claim_not_text": {http.StatusForbidden, "The sign-in could not be verified",
		"Your organisation’s identity provider did not name you in a way that can be relied on.", askAdmin},
	"idp_error": {http.StatusBadGateway, "Your identity provider reported an error",
		"Your organisation’s identity provider could not finish the sign-in.",
		"Go back to the application and sign in again. If it happens twice, ask your organisation’s IT department."},
	"idp_unreachable": {http.StatusBadGateway, "Your identity provider cannot be reached",
		"Your organisation’s identity provider did not answer, or not in a way that can be used.",
		"Try again in a minute. If it lasts, ask your organisation’s IT department."},

	// Faults of the request.
	"sign_in_expired": {http.StatusBadRequest, "This sign-in is not open any more",
		"It was finished already, took longer than ten minutes, or began in another browser.",
		"Go back to the application and sign in again."},
	"bad_response": {http.StatusBadRequest, "The answer of your identity provider is not complete",
		"The address that brought you here is damaged.",
		"Go back to the application and sign in again."},
	"issuer_mismatch": {http.StatusBadRequest, "The answer came from the wrong place",
		"The answer did not come from the identity provider that you were sent to, so it was not used.",
		"Go back to the application and sign in again. If it happens twice, tell your organisation’s IT department."},
	"bad_request": {http.StatusBadRequest, "This request cannot be read",
		"The application sent you here with a damaged request.",
		"Go back to the application and try again."},
	"too_many_requests": {http.StatusTooManyRequests, "Too many sign-ins at once",
		"More sign-ins have begun from your network than can be taken at the moment.",
		"Wait a few seconds, then go back to the application and sign in again."},
	"unknown_application": {http.StatusBadRequest, "This application is not known here",
		"The application that sent you here is not registered.",
		"Check the address you came from, or ask the support of the application."},
	"redirect_mismatch": {http.StatusBadRequest, "This application is set up incorrectly",
		"The address to return to is not one that the application has registered, so you are not sent there.",
		"Ask the support of the application."},

	// Ours.
	"unavailable": {http.StatusServiceUnavailable, "Sign-in is not available for the moment",
		"This service cannot reach its database. Nobody is let in until it can.",
		"Try again in a minute."},
	"internal": {http.StatusInternalServerError, "Something went wrong here",
		"This service made a mistake. You are not signed in.",
		"Try again. If it happens twice, give the reference below to the support of the application."},
}

// pageOf returns the page of a reason. One without a page of its own is ours to
// explain, and is never a way in.
func pageOf(reason string) page {
	if p, ok := pages[reason]; ok {
		return p
	}
	return pages["internal"]
}
