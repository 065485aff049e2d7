package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// startAJV starts Node with AJV, which are installed in internal/bench by
//
//	npm --prefix internal/bench/ajv ci
func startAJV(stderr io.Writer) (*server, error) {
	if _, err := os.Stat("ajv/node_modules/ajv"); err != nil {
		return nil, errors.New("AJV is absent: run npm --prefix internal/bench/ajv ci, and this command by go run -C internal/bench")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, fmt.Errorf("node is absent: %w", err)
	}
	return spawn(exec.Command(node, "ajv/ajv.mjs"), stderr)
}

// ajvCheck is what AJV needs of the processor for a message that passes, in
// nanoseconds, after it has warmed up for as long as it measures.
func ajvCheck(s *server, c sample, milliseconds int) (ns float64, err error) {
	question, err := json.Marshal(map[string]any{"schema": c.schema, "message": c.message, "ms": milliseconds})
	if err != nil {
		return 0, err
	}
	answer, err := s.ask(string(question))
	if err != nil {
		return 0, err
	}
	if why, failed := strings.CutPrefix(answer, "error "); failed {
		return 0, errors.New(why)
	}
	return strconv.ParseFloat(answer, 64)
}
