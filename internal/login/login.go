package login

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/muster-id/muster/internal/fetch"
	"github.com/muster-id/muster/internal/store"
)

// Config is what the door needs from the house.
type Config struct {
	Store *store.Store
	Fetch *fetch.Client
	// PublicURL is the origin of every link and redirect URI, without a trailing slash.
	PublicURL string
	Log       *slog.Logger

	// RequestID returns the id that the server gave to a request.
	RequestID func(*http.Request) uuid.UUID
	// Respond sends the browser back to the application with params, state and iss.
	Respond func(w http.ResponseWriter, redirectURI, state string, params url.Values)
	// Refused counts a refusal that store has not counted, by its reason; nil
	// counts nothing.
	Refused func(reason string)
}

// A Login signs people in at their organisation's identity provider.
type Login struct {
	store     *store.Store
	fetch     *fetch.Client
	publicURL string
	secure    bool // the public URL is https
	log       *slog.Logger
	requestID func(*http.Request) uuid.UUID
	respond   func(w http.ResponseWriter, redirectURI, state string, params url.Values)
	refused   func(reason string)
}

// New returns the door.
func New(config Config) *Login {
	l := &Login{
		store: config.Store, fetch: config.Fetch, publicURL: config.PublicURL,
		secure: strings.HasPrefix(config.PublicURL, "https://"),
		log:    config.Log, requestID: config.RequestID, respond: config.Respond, refused: config.Refused,
	}
	if l.refused == nil {
		l.refused = func(string) {}
	}
	return l
}

// Routes puts the door's route on r. A sign-in enters by [Login.Begin].
func (l *Login) Routes(r chi.Router) {
	r.Get("/t/{tenant}/callback/{connection}", l.callback)
}

// CallbackURL is the redirect URI that the connection of this id has to be given at
// its identity provider. Each connection has its own (RFC 9700 §4.4).
func CallbackURL(publicURL, tenant, connection string) string {
	return publicURL + "/t/" + tenant + "/callback/" + connection
}
