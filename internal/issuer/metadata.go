package issuer

import (
	"encoding/json"
	"net/http"
)

// metadata is the document of OpenID Connect Discovery §3 and RFC 8414 §2: only
// what is really served. Members that default to true are said to be false.
func metadata(issuer string) []byte {
	body, err := json.Marshal(map[string]any{
		"issuer":                                         issuer,
		"authorization_endpoint":                         issuer + "/authorize",
		"token_endpoint":                                 issuer + "/token",
		"jwks_uri":                                       issuer + "/jwks",
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"grant_types_supported":                          []string{"authorization_code"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{"ES256"},
		"scopes_supported":                               []string{"openid"},
		"claims_supported":                               []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "sid", "tenant"},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "client_secret_post", "none"},
		"code_challenge_methods_supported":               []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
		"claims_parameter_supported":                     false,
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
	})
	if err != nil {
		panic(err) // constants and one string
	}
	return body
}

// describe serves the metadata. It asks nobody.
func (i *Issuer) describe(w http.ResponseWriter, _ *http.Request) error {
	writePublic(w, "application/json", i.metadata)
	return nil
}
