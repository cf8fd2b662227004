package labels

// Selector selects sets of labels. The zero Selector selects all.
type Selector struct{}

// ParseSelector returns the selector that a text in the syntax of Kubernetes stands for. The error
// says for people what is wrong with the text.
func ParseSelector(text string) (Selector, error) { return Selector{}, nil }
