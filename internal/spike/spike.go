// Package spike finds unusually high numbers of events: handshakes, refusals,
// messages or closes in ten seconds. It knows what is usual from the last
// minutes alone; a comparison with last week belongs in the monitoring system.
package spike

import (
	"math"
	"time"
)

// Bucket is the time in which events are counted for one [Detector.Tick].
const Bucket = 10 * time.Second

const (
	warmUp   = int(time.Hour / Bucket) // buckets in which nothing is reported
	halfLife = int(10 * time.Minute / Bucket)

	// A spike is two buckets in a row above mean + 4 sd, or one above mean + 6 sd.
	// It is over below half of the former. The first finds what is moderate and
	// lasts, the second what is short; fewer events than floor too many are none.
	sustained, sudden = 4, 6
	floor             = 20

	// clip bounds, in sd, what a bucket teaches, so that a spike does not become
	// usual before it is reported, nor hides the next one.
	clip = 3

	// maxCount bounds a count, so that no square overflows.
	maxCount = 1e12
)

// alpha is the weight of the newest bucket.
var alpha = 1 - math.Exp2(-1/float64(halfLife))

// A Kind is what a bucket has changed.
type Kind uint8

// The kinds of change.
const (
	None    Kind = iota // no spike, or one that goes on
	Started             // a spike was found
	Ended               // the numbers are usual again
)

// A Change is what the detector says of a bucket. The zero value is no change.
type Change struct {
	Kind     Kind
	Observed float64 // events in the bucket
	Expected float64 // mean of the time before
}

// A Detector watches one series of counts. The zero value is ready; it reports
// nothing for an hour. It has no clock, allocates nothing, and is not safe for
// concurrent use.
//
// A level that stays is learned, and so is one that rises slowly: a spike that
// lasts ends when it has become usual, after about 9 minutes of twice as many
// events, and 26 minutes of a hundred times as many.
type Detector struct {
	mean, variance float64
	seen           int // buckets, up to warmUp
	high           int // buckets in a row above the sustained threshold
	active         bool
}

// Tick takes the number of events in the bucket that has just ended. NaN and
// what is negative are no measurement, and change nothing; a count above 10^12
// is taken as 10^12.
func (d *Detector) Tick(count float64) Change {
	if !(count >= 0) { // in this form, NaN is refused
		return Change{}
	}
	count = min(count, maxCount)
	// Counts vary by their root at least (Poisson), and by one event.
	sd := math.Sqrt(max(d.variance, d.mean, 1))
	excess := count - d.mean
	change := Change{Observed: count, Expected: d.mean}

	threshold := max(sustained*sd, floor)
	if excess > threshold {
		d.high++
	} else {
		d.high = 0
	}
	switch {
	case d.seen < warmUp:
		d.seen++
	case !d.active && (d.high >= 2 || excess > max(sudden*sd, floor)):
		d.active, change.Kind = true, Started
	case d.active && excess < threshold/2:
		d.active, change.Kind = false, Ended
	}

	weight := max(alpha, 1/float64(d.seen+1)) // of few buckets, each weighs more
	diff := min(excess, clip*sd)
	d.mean += weight * diff
	d.variance = (1 - weight) * (d.variance + weight*diff*diff)
	if change.Kind == None {
		return Change{}
	}
	return change
}

// Idle is Tick(0) for each of n buckets. It returns the change among them, if
// any, which can only be that a spike has ended. After two days without events
// nothing is left to forget, so it feeds no more than that.
func (d *Detector) Idle(n int) Change {
	var last Change
	for range min(n, int(48*time.Hour/Bucket)) {
		if c := d.Tick(0); c.Kind != None {
			last = c
		}
	}
	return last
}
