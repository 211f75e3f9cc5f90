package fetch

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// How a client authenticates at a token endpoint (Core §9).
const (
	ClientSecretBasic = "client_secret_basic"
	ClientSecretPost  = "client_secret_post"
)

// TokenRequest is an authorization code to be exchanged (RFC 6749 §4.1.3, RFC 7636 §4.5).
type TokenRequest struct {
	Endpoint     string // the provider's token endpoint
	AuthMethod   string // ClientSecretBasic or ClientSecretPost; see Metadata.TokenAuthMethod
	ClientID     string
	ClientSecret string
	Code         string
	RedirectURI  string // the one that was sent with the authorization request
	Verifier     string // the PKCE code verifier
}

// TokenResponse is what is used of the answer. The access token serves only to verify
// at_hash; it is neither stored nor sent anywhere.
type TokenResponse struct {
	IDToken     string `json:"id_token"`
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
}

// Exchange sends the code once: it is spent whatever the outcome, so nothing is retried.
// An answer of the provider that is not a token is of class [ErrRefused].
func (c *Client) Exchange(ctx context.Context, token TokenRequest) (TokenResponse, error) {
	request, err := token.request(ctx)
	if err != nil {
		return TokenResponse{}, err
	}
	status, body, err := c.do(request)
	if err != nil {
		return TokenResponse{}, err
	}
	if status != http.StatusOK {
		return TokenResponse{}, refused("token endpoint: status %d, error %q", status, oauthError(body))
	}
	var answer TokenResponse
	if err := decode(body, &answer); err != nil {
		return TokenResponse{}, unreachable("token response: %w", err)
	}
	if answer.IDToken == "" || !strings.EqualFold(answer.TokenType, "Bearer") {
		return TokenResponse{}, refused("token response without id_token, or of type %q", clip(answer.TokenType))
	}
	return answer, nil
}

func (t TokenRequest) request(ctx context.Context) (*http.Request, error) {
	form := url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {t.Code},
		"redirect_uri":  {t.RedirectURI},
		"code_verifier": {t.Verifier},
	}
	if t.AuthMethod == ClientSecretPost {
		form.Set("client_id", t.ClientID)
		form.Set("client_secret", t.ClientSecret)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.Endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, badURL("%w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	switch t.AuthMethod {
	case ClientSecretBasic: // each part form-encoded first (RFC 6749 §2.3.1)
		request.SetBasicAuth(url.QueryEscape(t.ClientID), url.QueryEscape(t.ClientSecret))
	case ClientSecretPost:
	default:
		return nil, refused("the provider offers no way to authenticate that is supported (%q)", t.AuthMethod)
	}
	return request, nil
}

// oauthError returns the error code of a refusal (RFC 6749 §5.2), for the log.
func oauthError(body []byte) string {
	var refusal struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := decode(body, &refusal); err != nil {
		return ""
	}
	return clip(strings.TrimSpace(refusal.Code + " " + refusal.Description))
}
