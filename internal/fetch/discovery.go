package fetch

import (
	"context"
	"slices"
	"strings"
)

// Metadata is what is used of a provider's discovery document (OpenID Connect Discovery
// 1.0 §3).
type Metadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	UserinfoEndpoint      string   `json:"userinfo_endpoint"`
	EndSessionEndpoint    string   `json:"end_session_endpoint"`
	SigningAlgorithms     []string `json:"id_token_signing_alg_values_supported"`
	TokenAuthMethods      []string `json:"token_endpoint_auth_methods_supported"`
	// IssInResponse: the provider puts iss into authorization responses, so one without
	// it is to be refused (RFC 9207 §2.4).
	IssInResponse bool `json:"authorization_response_iss_parameter_supported"`
}

// Metadata returns the discovery document of a connection's Issuer as [Client.Discover] does,
// from a cache: a sign-in does not have to wait for it, and nobody who starts many makes us
// send many requests. scope separates tenants and connections, as in [Expect].
func (c *Client) Metadata(ctx context.Context, scope, issuer string) (Metadata, error) {
	if err := c.CheckIssuer(issuer); err != nil {
		return Metadata{}, err
	}
	found, err := c.metadata.entry(cacheKey{scope, issuer, discoveryAddress(issuer)}).current(ctx)
	if err != nil {
		return Metadata{}, err
	}
	return found.value, nil
}

func (c *Client) loadMetadata(ctx context.Context, key cacheKey) (Metadata, error) {
	return c.Discover(ctx, key.issuer)
}

func discoveryAddress(issuer string) string {
	return strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
}

// Discover asks for the discovery document of issuer. The document must name issuer byte for
// byte, and every endpoint must be an https address; those that will be asked from here
// must be public ones. Errors are of class [ErrURL] or [ErrUnreachable].
func (c *Client) Discover(ctx context.Context, issuer string) (Metadata, error) {
	if err := c.CheckIssuer(issuer); err != nil {
		return Metadata{}, err
	}
	body, err := c.get(ctx, discoveryAddress(issuer))
	if err != nil {
		return Metadata{}, err
	}
	var metadata Metadata
	if err := decode(body, &metadata); err != nil {
		return Metadata{}, unreachable("discovery document of %s: %w", issuer, err)
	}
	if metadata.Issuer != issuer {
		return Metadata{}, unreachable("discovery document of %s names the issuer %q", issuer, clip(metadata.Issuer))
	}
	if err := c.checkEndpoints(ctx, metadata); err != nil {
		return Metadata{}, unreachable("discovery document of %s: %s", issuer, Detail(err))
	}
	return metadata, nil
}

// checkEndpoints looks the hosts up within the time of one request, whatever time ctx leaves.
func (c *Client) checkEndpoints(ctx context.Context, metadata Metadata) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	for _, endpoint := range []string{metadata.TokenEndpoint, metadata.JWKSURI} {
		u, err := c.checkURL(endpoint)
		if err != nil {
			return err
		}
		if _, err := c.guard.resolve(ctx, u.Hostname()); err != nil {
			return err
		}
	}
	if _, err := c.checkPageURL(metadata.AuthorizationEndpoint); err != nil {
		return err
	}
	for _, optional := range []string{metadata.UserinfoEndpoint, metadata.EndSessionEndpoint} {
		if _, err := c.checkPageURL(optional); optional != "" && err != nil {
			return err
		}
	}
	return nil
}

// Algorithms returns those of the provider's signing algorithms that [Client.VerifyIDToken]
// accepts; RS256 if it names none (Core §2).
func (m Metadata) Algorithms() []string {
	if len(m.SigningAlgorithms) == 0 {
		return []string{"RS256"}
	}
	return slices.DeleteFunc(slices.Clone(m.SigningAlgorithms), func(name string) bool {
		_, ok := algorithms[name]
		return !ok
	})
}

// TokenAuthMethod returns how to authenticate at the token endpoint: client_secret_basic,
// the default of Core §9, where the provider takes it, else client_secret_post, else "".
func (m Metadata) TokenAuthMethod() string {
	if len(m.TokenAuthMethods) == 0 {
		return ClientSecretBasic
	}
	for _, method := range []string{ClientSecretBasic, ClientSecretPost} {
		if slices.Contains(m.TokenAuthMethods, method) {
			return method
		}
	}
	return ""
}
