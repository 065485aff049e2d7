package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// A Machine is where and when something was measured.
type Machine struct {
	When  time.Time `json:"when"`
	Go    string    `json:"go"`
	OS    string    `json:"os"`
	Cores int       `json:"cores"`
	// Others is the share of the processors that other processes had meanwhile,
	// or nil if that is unknown. It blurs every figure of time.
	Others *float64 `json:"others,omitempty"`
}

func (m Machine) String() string {
	s := fmt.Sprintf("%s, %s, %s, %d cores.", m.When.Format(time.DateOnly), m.Go, m.OS, m.Cores)
	switch {
	case m.Others == nil:
		s += " What other processes had of them is unknown."
	case *m.Others < 0.05:
		s += " Other processes had next to nothing of them."
	default:
		s += fmt.Sprintf(" Other processes had %.0f %% of them, which blurs what is said of time.", *m.Others*100)
	}
	return s
}

// watchMachine begins to watch, and returns what ends it.
func watchMachine() func() Machine {
	began := time.Now()
	busyBefore, err := busy()
	ownBefore := ownCPUAndChildren()
	return func() Machine {
		m := Machine{When: began.UTC(), Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU()}
		busyAfter, errAfter := busy()
		if errors.Join(err, errAfter) == nil {
			others := (busyAfter - busyBefore) - (ownCPUAndChildren() - ownBefore)
			share := max(0, float64(others)/float64(time.Since(began))/float64(m.Cores))
			m.Others = &share
		}
		return m
	}
}

// busy is the time that all processors have run processes, or were taken away
// by a hypervisor.
func busy() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	f := bytes.Fields(line) // cpu user nice system idle iowait irq softirq steal …
	if len(f) < 9 || string(f[0]) != "cpu" {
		return 0, errors.New("/proc/stat does not begin with the line cpu")
	}
	var ticks int64
	for _, i := range []int{1, 2, 3, 8} {
		n, err := strconv.ParseInt(string(f[i]), 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// ownCPU is what the operating system has charged this process.
func ownCPU() time.Duration { return cpuOf(syscall.RUSAGE_SELF) }

// ownCPUAndChildren adds the processes that were started here and have ended.
func ownCPUAndChildren() time.Duration { return ownCPU() + cpuOf(syscall.RUSAGE_CHILDREN) }

func cpuOf(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		panic(err) // it fails for wrong arguments alone
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident is how many KiB of a process are in memory. What the kernel keeps
// for its sockets is not part of it.
func resident(pid int) (float64, error) {
	// The kernel counts for smaps_rollup when it is read; VmRSS may lag behind.
	for _, from := range []struct{ file, field string }{{"smaps_rollup", "Rss:"}, {"status", "VmRSS:"}} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, from.file))
		if err != nil {
			continue
		}
		for line := range bytes.Lines(text) {
			if f := bytes.Fields(line); len(f) == 3 && string(f[0]) == from.field && string(f[2]) == "kB" {
				return strconv.ParseFloat(string(f[1]), 64)
			}
		}
	}
	return 0, fmt.Errorf("no resident memory of process %d under /proc", pid)
}

// descriptors tries to make room for n open files, also in the processes that
// are started from here, and returns how many may be open.
func descriptors(n uint64) (uint64, error) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, err
	}
	if l.Cur < n && l.Cur < l.Max {
		l.Cur = min(n, l.Max)
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
			return 0, err
		}
	}
	return l.Cur, nil
}
