package main

import (
	"os"
	"path/filepath"
	"runtime/pprof"
)

// profile begins a CPU profile of this process, and returns what ends it and
// adds one of the heap. The files of the last round stay.
func profile(dir, name string) (finish func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	cpu, err := os.Create(filepath.Join(dir, name+".cpu.pprof"))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		_ = cpu.Close()
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		_ = cpu.Close()
		if heap, err := os.Create(filepath.Join(dir, name+".heap.pprof")); err == nil {
			_ = pprof.WriteHeapProfile(heap)
			_ = heap.Close()
		}
	}, nil
}
