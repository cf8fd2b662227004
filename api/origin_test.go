package api

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIsAllowedHost(t *testing.T) {
	t.Parallel()
	for header, isAllowed := range map[string]bool{
		"localhost": true, "localhost:3000": true, "LocalHost:1": true, "127.0.0.1": true, "127.0.0.1:3000": true,
		"127.9.8.7:80": true, "[::1]": true, "[::1]:3000": true, "[::ffff:127.0.0.1]:3000": true,
		"punctual.test": true, "Punctual.Test:3000": true, "192.168.1.2:3000": true,
		"": false, ":3000": false, "example.com": false, "example.com:3000": false, "localhost.example.com": false,
		"127.0.0.1.example.com": false, "0.0.0.0:3000": false, "[::]:3000": false, "192.168.1.3": false, "128.0.0.1": false,
		"localhost@example.com": false, "example.com:localhost": false, "sub.punctual.test": false, "2130706433": false,
	} {
		require.Equal(t, isAllowed, isAllowedHost(header, []string{"punctual.test", "192.168.1.2"}), "%q", header)
	}
}
