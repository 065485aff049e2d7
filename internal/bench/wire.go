package main

// measureWire is what a connection costs below the application's messages.
func measureWire(p *plan) []Row {
	return inPart("wire", measureEcho(p), measureIdle(p), measureFrame(p))
}
