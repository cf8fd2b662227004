package eventstream

import "time"

// ID returns the id of the place before the events of a message.
func ID(at time.Time, publisher string, number int64) string {
	return idOf(message{at: at, publisher: publisher, number: number})
}
