package secrets_test

import (
	"errors"
	"fmt"

	"punctual/internal/secrets"
)

// The keys of the examples, as SECRET_KEYS has them.
const (
	firstKey  = "2026-01:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
	secondKey = "2026-02:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
)

// mustParse returns the keyring of a valid text.
func mustParse(text string) secrets.Keyring {
	ring, err := secrets.ParseKeyring(text)
	if err != nil {
		panic(err)
	}
	return ring
}

func ExampleKeyring() {
	ring := mustParse(firstKey)
	fmt.Println(ring)
	// Output: 2026-01:***
}

func ExampleKeyring_Seal() {
	ring := mustParse(firstKey)
	sealed, err := ring.Seal([]byte("Bearer abc"), []byte("job 1"))
	fmt.Println(sealed.KeyID, len(sealed.Ciphertext), err)
	// Output: 2026-01 38 <nil>
}

func ExampleKeyring_Open() {
	ring := mustParse(firstKey)
	sealed, _ := ring.Seal([]byte("Bearer abc"), []byte("job 1")) // there is a key

	opened, err := ring.Open(sealed, []byte("job 1"))
	fmt.Println(string(opened), err)

	_, err = ring.Open(sealed, []byte("job 2"))
	fmt.Println(errors.Is(err, secrets.ErrNotAuthentic))
	// Output:
	// Bearer abc <nil>
	// true
}

// To replace a key, put the new one before it, seal all secrets anew, and remove the old one.
func ExampleKeyring_Reseal() {
	sealed, _ := mustParse(firstKey).Seal([]byte("Bearer abc"), []byte("job 1")) // there is a key

	sealed, err := mustParse(secondKey+","+firstKey).Reseal(sealed, []byte("job 1"))
	fmt.Println(sealed.KeyID, err)

	opened, err := mustParse(secondKey).Open(sealed, []byte("job 1"))
	fmt.Println(string(opened), err)
	// Output:
	// 2026-02 <nil>
	// Bearer abc <nil>
}
