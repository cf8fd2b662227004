package oidc

import (
	"slices"

	"punctual/internal/access"
)

// identity is what a token says: who calls, and what they may do in which namespace.
type identity struct {
	actor string
	// everywhere are the scopes in each namespace that rights does not have.
	everywhere []access.Scope
	// rights has the scopes in the namespaces that grants name, those for all namespaces among
	// them.
	rights map[string][]access.Scope
}

// newIdentity sums up the grants that a token matches.
func newIdentity(subject string, grants []Grant) *identity {
	id := &identity{actor: "user:" + subject, rights: map[string][]access.Scope{}}
	for _, grant := range grants {
		if grant.Namespace == Everywhere {
			id.everywhere = union(id.everywhere, grant.Scopes)
		}
	}
	for _, grant := range grants {
		if grant.Namespace != Everywhere {
			id.rights[grant.Namespace] = union(id.rights[grant.Namespace], grant.Scopes, id.everywhere)
		}
	}
	return id
}

func union(scopes ...[]access.Scope) []access.Scope {
	all := slices.Concat(scopes...)
	slices.Sort(all)
	return slices.Compact(all)
}

// caller returns who calls, or an error if nothing is granted to them.
func (id *identity) caller() (access.Caller, error) {
	if id.everywhere == nil && len(id.rights) == 0 {
		return access.Caller{}, access.ErrNoGrant
	}
	return access.Caller{Actor: id.actor, Choose: id.in}, nil
}

// in returns the caller in a namespace. The empty namespace is the default one if there are rights
// in it, or else the only one in which there are rights.
func (id *identity) in(namespace string) (access.Caller, error) {
	if namespace == "" {
		namespace = id.usual()
	}
	scopes, isNamed := id.rights[namespace]
	if !isNamed {
		scopes = id.everywhere
	}
	if scopes == nil {
		return access.Caller{}, access.ErrNoNamespace
	}
	return access.Caller{
		Actor: id.actor, Namespace: namespace, Scopes: scopes,
		// The administrator of one namespace gets no rights over the others from a lesser grant
		// that is for all of them.
		IsServiceWide: slices.Contains(id.everywhere, access.Admin) ||
			id.everywhere != nil && !slices.Contains(scopes, access.Admin),
	}, nil
}

// usual returns the namespace of a request that names none.
func (id *identity) usual() string {
	if _, isNamed := id.rights[access.DefaultNamespace]; !isNamed && id.everywhere == nil && len(id.rights) == 1 {
		for namespace := range id.rights {
			return namespace
		}
	}
	return access.DefaultNamespace
}
