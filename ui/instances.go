package ui

import (
	"punctual/gen/client"
	"punctual/internal/answers"
)

// listInstances shows the processes of the service.
func listInstances(p *page) error {
	list, err := answers.Of[client.InstanceList](p.ListInstances(p.Context()))
	if err != nil {
		return err
	}
	return p.show("Instances", instancesPage(p, list.Items))
}

// roleNames are what instances do, for people.
func roleNames(roles []client.InstanceRole) (names []string) {
	for _, role := range roles {
		switch role {
		case client.InstanceRoleAPI:
			names = append(names, "serves the API")
		case client.InstanceRolePOLLER:
			names = append(names, "executes runs")
		default:
			names = append(names, string(role))
		}
	}
	return names
}
