package wire

import (
	"time"

	"golang.org/x/time/rate"
)

// Limits are what a peer may do. They must not change once a connection has
// them. One that is zero is no limit.
type Limits struct {
	MessageSize int64 // bytes that a message may declare
	FrameSize   int64 // bytes that a frame may declare
	Fragments   int   // frames of a message
	Empty       int   // frames in a row that carry nothing and end no message

	// Controls is how many control frames may come at once; one more may come
	// each ControlEvery.
	Controls     int
	ControlEvery time.Duration

	// ByteRate is how many bytes a second are read, ByteBurst how many at once.
	ByteRate  rate.Limit
	ByteBurst int

	Ping     time.Duration // silence of the peer after which a ping goes out
	Pong     time.Duration // silence after the ping
	Idle     time.Duration // time without an accepted message
	Lifetime time.Duration // age of the connection
	Expiry   time.Duration // age at which the identity expires, until SetExpiry
	Activity bool          // LastActivity will be asked for
	First    time.Duration // age without a message

	// MessageTime is how long the peer may stall within a message, WriteTime
	// how long in taking what is written. What moves earns time back at
	// MinRate bytes a second.
	MessageTime time.Duration
	WriteTime   time.Duration
	MinRate     int
}

// A Violation is a rule of RFC 6455 or a limit that a frame breaks.
type Violation string

// Error returns the rule that was broken.
func (v Violation) Error() string { return string(v) }

// The violations that bytes can show.
const (
	ReservedBits      Violation = "reserved bits set without an extension"
	UnknownOpcode     Violation = "unknown opcode"
	NotMasked         Violation = "frame of a client is not masked"
	FragmentedControl Violation = "control frame is fragmented"
	LongControl       Violation = "control frame is longer than 125 bytes"
	BadLength         Violation = "payload length is not minimal or has its highest bit set"
	NoMessageOpen     Violation = "continuation without a message to continue"
	MessageOpen       Violation = "new message before the last one has ended"
	ShortClose        Violation = "close frame with a payload of one byte"
	InvalidCloseCode  Violation = "close frame with a code that must not be sent"
	InvalidReason     Violation = "close frame with a reason that is not UTF-8"
	InvalidText       Violation = "text that is not UTF-8"
	MessageTooLong    Violation = "message declares more bytes than allowed"
	FrameTooLong      Violation = "frame declares more bytes than allowed"
	TooManyFragments  Violation = "message has more fragments than allowed"
	TooManyEmpty      Violation = "more empty frames in a row than allowed"
	TooManyControls   Violation = "control frames come faster than allowed"
)

// Overdue is something that a peer had to do in a time that is over.
type Overdue string

// Error returns what did not come.
func (o Overdue) Error() string { return string(o) }

// What can be overdue.
const (
	NoPong       Overdue = "nothing came after a ping"
	Idle         Overdue = "no message was accepted"
	LifetimeOver Overdue = "the connection is too old"
	Expired      Overdue = "the identity has expired"
	SlowStart    Overdue = "no message came after the upgrade"
	SlowMessage  Overdue = "a message does not get on"
	SlowReader   Overdue = "a write does not get on"
)

// patience is how long a peer may still stall, in nanoseconds. Moving bytes
// earns it back.
type patience int64

// whole is all of it.
func whole(d time.Duration) patience { return patience(min(int64(d), longest)) }

// spend takes what the peer has made others wait.
func (p *patience) spend(waited int64) { *p -= patience(waited) }

// earn gives back what n bytes are worth, up to the whole.
func (p *patience) earn(n int64, d time.Duration, minRate int) {
	const most = 1 << 32 // bytes, so that nothing overflows
	*p = min(whole(d), *p+patience(min(n, most)*int64(time.Second)/int64(max(minRate, 1))))
}
