package main

import "testing"

// The parts run from end to end. What comes out is not judged.
func TestGrowthStormAndKeepAlive(t *testing.T) {
	for _, part := range []string{"growth", "storm", "keepalive"} {
		p := plan{only: part, rounds: 1, idleRounds: 1, storm: 1, users: 200, idlers: fewIdlers, benchtime: "1ms", log: t.Output()}
		r := result{Rows: p.measure()}
		if err := r.complete(); err != nil {
			t.Errorf("%s: %v", part, err)
		}
		for _, row := range r.Rows {
			if row.Part != part || len(row.Rounds) != 1 || row.Median < 0 {
				t.Errorf("%s: %+v", part, row)
			}
		}
	}
}
