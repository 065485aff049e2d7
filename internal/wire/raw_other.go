//go:build !unix

package wire

// raw is for systems whose sockets are not known to work that way.
type raw struct{}

func rawOf(*Conn) *raw { return nil }

func (*raw) receive([]byte, bool) (int, error)   { panic("wire: no raw socket") }
func (*raw) receiveChunk(int, bool) (int, error) { panic("wire: no raw socket") }
func (*raw) send([]byte) (int, error)            { panic("wire: no raw socket") }
