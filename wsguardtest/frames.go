package wsguardtest

import (
	"bytes"
	"encoding/binary"
)

// The opcodes of RFC 6455, section 5.2, and the bit of a last fragment.
const (
	opMore   = 0x0
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
	opPong   = 0xA
	fin      = 0x80
)

// frame is a masked frame of any first byte; its length is true.
func frame(first byte, payload string) []byte {
	b := header(first, uint64(len(payload)))
	mask := b[len(b)-4:]
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return b
}

// header is that of a masked frame, which may declare any length.
func header(first byte, length uint64) []byte {
	b := []byte{first}
	switch {
	case length < 126:
		b = append(b, 0x80|byte(length))
	case length < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(length))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), length)
	}
	return append(b, 0x5A, 0x3C, 0x69, 0x0F)
}

func closing(code uint16, reason string) []byte {
	return frame(fin|opClose, string(binary.BigEndian.AppendUint16(nil, code))+reason)
}

func join(frames ...[]byte) []byte { return bytes.Join(frames, nil) }
