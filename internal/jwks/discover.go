package jwks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Discover returns the URL of an issuer's key set from its discovery document
// (OpenID Connect Discovery 1.0, section 4). The document must name the issuer to
// the letter. The fetch has the bounds of a Source's, and ends with ctx. An https
// issuer cannot name keys that come over plain http.
func Discover(ctx context.Context, issuer string, client *http.Client) (string, error) {
	if err := checkURL(issuer); err != nil {
		return "", err
	}
	if u, _ := url.Parse(issuer); u.RawQuery != "" || u.ForceQuery {
		return "", errors.New("the URL must not have a query: write https://host/path")
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	c := clientOf(client)
	body, err := get(ctx, &c, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", "application/json")
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	var document map[string]json.RawMessage // names in their case, unlike a struct's
	if err := json.Unmarshal(body, &document); err != nil {
		return "", errors.New("the discovery document is no JSON object")
	}
	var named, keys string
	if json.Unmarshal(document["issuer"], &named) != nil || named != issuer {
		return "", errors.New("the discovery document is that of another issuer")
	}
	if json.Unmarshal(document["jwks_uri"], &keys) != nil {
		return "", errors.New("the discovery document has no jwks_uri")
	}
	if err := checkURL(keys); err != nil {
		return "", fmt.Errorf("jwks_uri: %w", err)
	}
	if strings.HasPrefix(issuer, "https:") && !strings.HasPrefix(keys, "https:") {
		return "", errors.New("jwks_uri: the URL must begin with https://, as the issuer does")
	}
	return keys, nil
}
