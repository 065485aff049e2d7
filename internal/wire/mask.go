package wire

import (
	"encoding/binary"
	"math/bits"
)

// mask masks b with a client's key, or takes that off (RFC 6455, section 5.3).
// The frame's payload has at bytes before b.
func mask(b []byte, key [4]byte, at int64) {
	k := uint64(binary.LittleEndian.Uint32(key[:]))
	k = bits.RotateLeft64(k|k<<32, -8*int(at&3))
	for len(b) >= 32 {
		w := b[:32:32]
		binary.LittleEndian.PutUint64(w, binary.LittleEndian.Uint64(w)^k)
		binary.LittleEndian.PutUint64(w[8:], binary.LittleEndian.Uint64(w[8:])^k)
		binary.LittleEndian.PutUint64(w[16:], binary.LittleEndian.Uint64(w[16:])^k)
		binary.LittleEndian.PutUint64(w[24:], binary.LittleEndian.Uint64(w[24:])^k)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(k >> (8 * i))
	}
}
