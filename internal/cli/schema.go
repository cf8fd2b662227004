package cli

import "punctual"

type schemaCmd struct{}

// Run prints the JSON schema of files with definitions, for editors.
func (schemaCmd) Run(c *Console) error {
	_, err := c.Out.Write(punctual.JobSchema)
	return err
}
