package api

import (
	"context"
	"encoding/base64"

	"punctual/gen/server"
)

// GetJwks shows the keys by which receivers verify tokens. Everybody may read them.
func (s *handlers) GetJwks(ctx context.Context, _ server.GetJwksRequestObject) (server.GetJwksResponseObject, error) {
	keys, err := s.Signer.PublicKeys(ctx)
	if err != nil {
		return nil, err
	}
	set := server.GetJwks200JSONResponse{Keys: []server.JsonWebKey{}}
	for _, key := range keys {
		set.Keys = append(set.Keys, server.JsonWebKey{
			Kty: "OKP", Crv: new("Ed25519"), Alg: "EdDSA", Use: "sig", Kid: key.ID.String(),
			X: new(base64.RawURLEncoding.EncodeToString(key.Key)),
		})
	}
	return set, nil
}
