package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/wsguard/wsguard"
)

// config is what the flags say.
type config struct {
	addr, host, port string
	tls              bool

	maxConns, maxConnsPerIP, maxConnsPerUser int

	handshakeRate, messageRate   rate.Limit
	handshakeBurst, messageBurst int
	maxMessageBytes              int

	pingInterval, pongTimeout time.Duration
	idleTimeout, maxLifetime  time.Duration
	tokenTTL, ticketTTL       time.Duration

	proxies []netip.Prefix
	origins []string // besides the chat's own
	log     string
}

// The largest values that make sense, so that products of two stay in range.
const (
	maxCount        = 1_000_000
	maxMessageBytes = 64 << 20
)

// parseFlags reads the command line. The error joins everything that is wrong
// with it, or is flag.ErrHelp after the usage was written to usage.
func parseFlags(args []string, usage io.Writer) (config, error) {
	var c config
	f := &flags{FlagSet: flag.NewFlagSet("chat", flag.ContinueOnError)}
	f.SetOutput(io.Discard)

	f.add("addr", "127.0.0.1:8080", "`host:port` to listen on; port 0 takes a free one", c.setAddr)
	f.BoolVar(&c.tls, "tls", false, "serve wss with a self-signed certificate, and refuse plaintext")
	f.count("max-conns", 1000, "connections that are open at once", &c.maxConns, maxCount)
	f.count("max-conns-per-ip", 50, "connections of one address", &c.maxConnsPerIP, maxCount)
	f.count("max-conns-per-user", 5, "connections of one user", &c.maxConnsPerUser, maxCount)
	f.rate("handshake-rate", 20, "handshakes a second of one address", &c.handshakeRate)
	f.count("handshake-burst", 40, "handshakes of one address that may come at once", &c.handshakeBurst, maxCount)
	f.rate("message-rate", 10, "messages a second on one connection", &c.messageRate)
	f.count("message-burst", 20, "messages on one connection that may come at once", &c.messageBurst, maxCount)
	f.count("max-message-bytes", 16384, "bytes of a message", &c.maxMessageBytes, maxMessageBytes)
	f.time("ping-interval", 30*time.Second, "of a client's silence after which it is pinged", &c.pingInterval)
	f.time("pong-timeout", 10*time.Second, "of silence after the ping that ends its connection", &c.pongTimeout)
	f.time("idle-timeout", 5*time.Minute, "without an accepted message that ends a connection", &c.idleTimeout)
	f.time("max-lifetime", 8*time.Hour, "after which a connection ends", &c.maxLifetime)
	f.add("token-ttl", "15m0s", "the `time` for which a token is good, in whole seconds", c.setTokenTTL)
	f.add("ticket-ttl", "30s", "the `time` within which a ticket is used, from 1s to 5m", c.setTicketTTL)
	f.add("trust-proxy", "", "addresses (`CIDR`) of proxies whose X-Forwarded-For is believed; may be repeated", c.addProxy)
	f.add("allow-origin", "", "`origin` allowed besides the chat's own; may be repeated", c.addOrigin)
	f.add("log", "text", "`format` of the log on standard error: text or json", c.setLog)

	return c, f.parse(args, usage)
}

func (c *config) setAddr(v string) error {
	host, port, err := net.SplitHostPort(v)
	if err != nil {
		return errors.New("must be host:port, such as 127.0.0.1:8080 or [::1]:8080")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("the port must be a number from 0 to 65535")
	}
	// The host becomes part of the chat's own origin.
	if host != "" {
		if _, err := wsguard.ParseOrigins("http://" + net.JoinHostPort(host, "1")); err != nil {
			return errors.New("the host must be a name or an address, such as localhost or 127.0.0.1")
		}
	}
	c.addr, c.host, c.port = v, host, port
	return nil
}

func (c *config) setTokenTTL(v string) error {
	d, err := time.ParseDuration(v)
	if err != nil || d < time.Second || d%time.Second != 0 || d > 24*time.Hour {
		return errors.New("must be whole seconds up to 24h, such as 90s or 15m")
	}
	c.tokenTTL = d
	return nil
}

func (c *config) setTicketTTL(v string) error {
	d, err := time.ParseDuration(v)
	if err != nil || d < time.Second || d > 5*time.Minute {
		return errors.New("must be a time from 1s to 5m, such as 30s")
	}
	c.ticketTTL = d
	return nil
}

func (c *config) addProxy(v string) error {
	prefix, err := netip.ParsePrefix(v)
	if err != nil {
		var addr netip.Addr
		if addr, err = netip.ParseAddr(v); err == nil && addr.Zone() == "" {
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
	}
	switch {
	case !prefix.IsValid():
		return errors.New("must be a CIDR, such as 10.0.0.0/8 or 192.0.2.1/32")
	case prefix.Bits() == 0, prefix.Addr().Is4In6() && prefix.Bits() <= 96:
		return errors.New("would trust every address: name the proxies alone")
	}
	c.proxies = append(c.proxies, prefix)
	return nil
}

func (c *config) addOrigin(v string) error {
	if _, err := wsguard.ParseOrigins(v); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "wsguard: ParseOrigins: "))
	}
	c.origins = append(c.origins, v)
	return nil
}

func (c *config) setLog(v string) error {
	if v != "text" && v != "json" {
		return errors.New("must be text or json")
	}
	c.log = v
	return nil
}

// flags is a flag set that goes on after a mistake, so that all of them are
// reported at once.
type flags struct {
	*flag.FlagSet
	problems []error
}

// add defines a flag with its default, "" for none.
func (f *flags) add(name, byDefault, usage string, set func(string) error) {
	if byDefault != "" {
		if err := set(byDefault); err != nil {
			panic(fmt.Sprintf("-%s: its default: %v", name, err))
		}
		usage += " (default " + byDefault + ")"
	}
	f.Func(name, usage, func(v string) error {
		if err := set(v); err != nil {
			f.problems = append(f.problems, fmt.Errorf("-%s %q: %w", name, v, err))
		}
		return nil
	})
}

func (f *flags) count(name string, byDefault int, usage string, to *int, most int) {
	f.add(name, strconv.Itoa(byDefault), "the `number` of "+usage+", at most", func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > most {
			return fmt.Errorf("must be a whole number from 1 to %d", most)
		}
		*to = n
		return nil
	})
}

func (f *flags) rate(name string, byDefault float64, usage string, to *rate.Limit) {
	f.add(name, fmt.Sprint(byDefault), "the `number` of "+usage+", on average", func(v string) error {
		r, err := strconv.ParseFloat(v, 64)
		if err != nil || !(r > 0 && r <= maxCount) { // in this form, NaN is refused
			return fmt.Errorf("must be a number above 0, up to %d", maxCount)
		}
		*to = rate.Limit(r)
		return nil
	})
}

func (f *flags) time(name string, byDefault time.Duration, usage string, to *time.Duration) {
	f.add(name, byDefault.String(), "the `time` "+usage, func(v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return errors.New("must be a time above 0, such as 500ms, 30s or 8h")
		}
		*to = d
		return nil
	})
}

// parse reads args to their end.
func (f *flags) parse(args []string, usage io.Writer) error {
	for len(args) > 0 {
		err := f.Parse(args)
		switch {
		case errors.Is(err, flag.ErrHelp):
			f.SetOutput(usage)
			fmt.Fprintln(usage, "Usage: chat [flags]")
			f.PrintDefaults()
			return flag.ErrHelp
		case err != nil:
			f.problems = append(f.problems, err)
		}
		args = f.Args()
		if err == nil && len(args) > 0 {
			f.problems = append(f.problems, fmt.Errorf("%q: is no flag: the chat takes flags alone", args[0]))
			args = args[1:]
		}
	}
	return errors.Join(f.problems...)
}
