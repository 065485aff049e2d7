package schema

// OnV5 returns the schema as it would be without a program, or an error if v5
// could not be asked in bounded time.
func (s *Schema) OnV5() (*Schema, error) {
	apart := *s
	apart.program = nil
	var err error
	if apart.bounds, err = guardV5(s.compiled); err != nil {
		return nil, err
	}
	return apart.WithLimits(s.limits), nil
}

// AskV5 is the second half of what checks a message without a program.
func (s *Schema) AskV5(message []byte) error { return s.askV5(message) }
