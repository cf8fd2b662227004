package runs

import (
	"crypto/rand"
	"encoding/binary"
)

// tokenBits is how many bits a token has: JavaScript, in which workers are written too, reads that
// many without rounding.
const tokenBits = 53

// NewToken returns the token of one claim, positive and random. It guards what the claim took: only
// a completion that carries it counts. Tokens are compared for equality and have no order, so no
// sequence has to survive a failover. Nobody can guess the token of somebody else's run.
func NewToken() int64 {
	for {
		var random [8]byte
		_, _ = rand.Read(random[:]) // never fails, by its documentation
		if token := binary.BigEndian.Uint64(random[:]) >> (64 - tokenBits); token > 0 {
			return int64(token)
		}
	}
}
