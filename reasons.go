package wsguard

import (
	"fmt"
	"maps"
	"net/http"

	"github.com/coder/websocket"
)

// Close codes that RFC 6455 leaves to the IANA registry.
const (
	// StatusUnauthorized closes a connection whose token has expired or was
	// revoked.
	StatusUnauthorized websocket.StatusCode = 3000
	// StatusForbidden closes a connection that asked for what its principal
	// may not do.
	StatusForbidden websocket.StatusCode = 3003
	// StatusTimeout closes a connection that was silent, idle, slow or old.
	StatusTimeout websocket.StatusCode = 3008
)

// outcome is how a reason looks to the peer, before the upgrade and after it.
type outcome struct {
	status int
	code   websocket.StatusCode
}

// reasons is every Reason that this package gives. (R45)
var reasons = map[string]outcome{
	// Handshake.
	"not_an_upgrade":       {http.StatusUpgradeRequired, 0},
	"method_not_allowed":   {http.StatusMethodNotAllowed, 0},
	"bad_handshake":        {http.StatusBadRequest, 0},
	"version_not_13":       {http.StatusUpgradeRequired, 0},
	"not_hijackable":       {http.StatusInternalServerError, 0},
	"upgrade_failed":       {http.StatusInternalServerError, 0},
	"tls_required":         {http.StatusForbidden, 0},
	"tls_too_old":          {http.StatusForbidden, 0},
	"address_malformed":    {http.StatusBadRequest, 0},
	"host_not_allowed":     {http.StatusMisdirectedRequest, 0},
	"origin_missing":       {http.StatusForbidden, 0},
	"origin_malformed":     {http.StatusForbidden, 0},
	"origin_duplicated":    {http.StatusForbidden, 0},
	"origin_not_allowed":   {http.StatusForbidden, 0},
	"origin_unchecked":     {http.StatusForbidden, 0},
	"connections_per_key":  {http.StatusTooManyRequests, websocket.StatusTryAgainLater},
	"connections_total":    {http.StatusServiceUnavailable, websocket.StatusTryAgainLater},
	"handshake_rate":       {http.StatusTooManyRequests, websocket.StatusTryAgainLater},
	"token_missing":        {http.StatusUnauthorized, StatusUnauthorized},
	"token_late":           {http.StatusUnauthorized, StatusUnauthorized},
	"token_ambiguous":      {http.StatusBadRequest, 0},
	"token_invalid":        {http.StatusUnauthorized, StatusUnauthorized},
	"token_malformed":      {http.StatusUnauthorized, StatusUnauthorized},
	"token_algorithm":      {http.StatusUnauthorized, StatusUnauthorized},
	"token_type":           {http.StatusUnauthorized, StatusUnauthorized},
	"token_key_unknown":    {http.StatusUnauthorized, StatusUnauthorized},
	"token_signature":      {http.StatusUnauthorized, StatusUnauthorized},
	"token_claims":         {http.StatusUnauthorized, StatusUnauthorized},
	"token_issuer":         {http.StatusUnauthorized, StatusUnauthorized},
	"token_audience":       {http.StatusUnauthorized, StatusUnauthorized},
	"token_subject":        {http.StatusUnauthorized, StatusUnauthorized},
	"token_not_yet_valid":  {http.StatusUnauthorized, StatusUnauthorized},
	"token_lifetime":       {http.StatusUnauthorized, StatusUnauthorized},
	"token_expired":        {http.StatusUnauthorized, StatusUnauthorized},
	"ticket_malformed":     {http.StatusUnauthorized, 0},
	"ticket_unknown":       {http.StatusUnauthorized, 0},
	"ticket_path":          {http.StatusUnauthorized, 0},
	"ticket_origin":        {http.StatusUnauthorized, 0},
	"ticket_address":       {http.StatusUnauthorized, 0},
	"ticket_rate":          {http.StatusTooManyRequests, 0},
	"tickets_unavailable":  {http.StatusServiceUnavailable, 0},
	"post_required":        {http.StatusMethodNotAllowed, 0},
	"keys_unavailable":     {http.StatusServiceUnavailable, websocket.StatusTryAgainLater},
	"token_revoked":        {http.StatusUnauthorized, StatusUnauthorized},
	"revalidation_failed":  {0, StatusUnauthorized},
	"shutting_down":        {http.StatusServiceUnavailable, websocket.StatusGoingAway},
	"disconnected":         {http.StatusForbidden, websocket.StatusPolicyViolation},
	"principal_incomplete": {http.StatusUnauthorized, StatusUnauthorized},
	"key_unavailable":      {http.StatusInternalServerError, websocket.StatusInternalError},

	// Mistakes in the program, found at a request.
	"safeguard_missing": {http.StatusInternalServerError, websocket.StatusInternalError},
	"safeguard_order":   {http.StatusInternalServerError, websocket.StatusInternalError},
	"rules_unclaimed":   {http.StatusInternalServerError, websocket.StatusInternalError},
	"internal_error":    {http.StatusInternalServerError, websocket.StatusInternalError},

	// Framing.
	"protocol_error":  {0, websocket.StatusProtocolError},
	"message_too_big": {0, websocket.StatusMessageTooBig},
	"frame_flood":     {0, websocket.StatusPolicyViolation},

	// Messages.
	"invalid_utf8":         {0, websocket.StatusInvalidFramePayloadData},
	"message_rate":         {0, websocket.StatusPolicyViolation},
	"byte_rate":            {0, websocket.StatusPolicyViolation},
	"invalid_data":         {0, websocket.StatusUnsupportedData},
	"scope_missing":        {0, StatusForbidden},
	"message_out_of_order": {0, websocket.StatusPolicyViolation},
	"message_rejected":     {0, websocket.StatusPolicyViolation},
	"outgoing_invalid":     {0, websocket.StatusInternalError},

	// Time.
	"no_pong":       {0, StatusTimeout},
	"idle":          {0, StatusTimeout},
	"lifetime_over": {0, StatusTimeout},
	"slow_start":    {0, StatusTimeout},
	"slow_message":  {0, StatusTimeout},
	"slow_reader":   {0, websocket.StatusPolicyViolation},
	"context_ended": {0, websocket.StatusGoingAway},
}

// CloseCodes changes the close code for some reasons, for clients that were
// written for other ones: CloseCodes(map[string]websocket.StatusCode{"idle":
// 4000}). It panics for a reason that is not one, or a code that must not be
// sent (RFC 6455, section 7.4).
func CloseCodes(codes map[string]websocket.StatusCode) func(http.Handler) http.Handler {
	for reason, code := range codes {
		if as, ok := reasons[reason]; !ok || as.code == 0 {
			panic(fmt.Sprintf("wsguard: CloseCodes: %q closes no connection: write a Reason such as \"idle\" or \"message_rate\"", reason))
		}
		if !mayBeSent(code) {
			panic(fmt.Sprintf("wsguard: CloseCodes: %d for %q must not be sent: write a code from 3000 to 4999", code, reason))
		}
	}
	codes = maps.Clone(codes)
	return safeguard(rule{name: "CloseCodes", provides: factCloseCodes, passive: true}, func(s *session, _ *http.Request) *Refusal {
		s.codes = codes
		return nil
	})
}

// InsecureKeepRefused leaves the connection of a refused handshake open for the
// client's next request, as HTTP servers do, and spares a client that tries
// again a new one. What is lost: refused clients hold descriptors outside of
// every limit here, for as long as the server's IdleTimeout lets them; set
// that. Without this safeguard, a refused handshake closes its connection.
func InsecureKeepRefused() func(http.Handler) http.Handler {
	return safeguard(rule{name: "InsecureKeepRefused", provides: factKeepRefused, passive: true}, func(s *session, _ *http.Request) *Refusal {
		s.keepRefused = true
		return nil
	})
}
