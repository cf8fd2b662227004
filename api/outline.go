package api

import (
	"bytes"
	"encoding/json"
)

// outline is what a scan of a JSON value finds without decoding it.
type outline struct {
	// depth is how deep the value is nested.
	depth int
	// items are those of the list in the value.
	items []span
}

// span is a part of a text.
type span struct{ begin, end int }

// scan returns the outline of a valid JSON value. list names the top-level field that is a list, or
// is empty. The error is errTwice, with the field, if the value or an item of its list is an object
// that gives a field twice.
func scan(body []byte, list string) (outline, string, error) {
	s := scanner{body: body, list: list}
	for i := 0; i < len(body); i++ {
		switch c := body[i]; c {
		case '"':
			end := endOfText(body, i)
			if !s.name(body[i:end]) {
				return s.outline, s.field(body[i:end]), errTwice
			}
			i = end - 1
		case '{', '[':
			s.open(i, c == '[')
		case '}', ']':
			s.close(i)
		case ',':
			s.next(i)
		}
	}
	return s.outline, "", nil
}

// depthOfItems is how deep the fields of an item are: in the value, in the list, in the item.
const depthOfItems = 3

// scanner is where a scan is.
type scanner struct {
	outline
	body []byte
	list string
	at   int // how deep
	// value and item are the names in the value, and in the item of the list that the scan is in.
	value, item names
	// isList says that the scan is in the value of the field list, and inList that this is an
	// array.
	isList, inList bool
	begin          int // of the item
}

// names are those of an object.
type names struct {
	seen map[string]bool
	// isNext says that the next text is a name.
	isNext bool
}

// here returns the names of the object that the scan is in, or nil if they do not matter.
func (s *scanner) here() *names {
	switch {
	case s.at == 1:
		return &s.value
	case s.at == depthOfItems && s.inList:
		return &s.item
	}
	return nil
}

// name passes a text. It returns false if that is a name which the object has already.
func (s *scanner) name(raw []byte) bool {
	here := s.here()
	if here == nil || !here.isNext {
		return true
	}
	here.isNext = false
	name := decodedText(raw)
	if s.at == 1 {
		s.isList = name == s.list && s.list != ""
	}
	if here.seen[name] {
		return false
	}
	here.seen[name] = true
	return true
}

func (s *scanner) open(i int, isArray bool) {
	if s.at++; s.at > s.depth {
		s.depth = s.at
	}
	if s.at == 2 && s.isList && isArray {
		s.inList, s.begin = true, i+1
	}
	here := s.here()
	if here == nil {
		return
	}
	if here.isNext = !isArray; here.seen == nil {
		here.seen = map[string]bool{}
	}
	clear(here.seen)
}

func (s *scanner) close(i int) {
	if s.at == 2 && s.inList {
		s.endItem(i)
		s.inList = false
	}
	s.at--
}

// next passes a comma.
func (s *scanner) next(i int) {
	if s.at == 2 && s.inList {
		s.endItem(i)
		s.begin = i + 1
	}
	if here := s.here(); here != nil && len(here.seen) > 0 {
		here.isNext = true
	}
}

// endItem ends an item of the list, unless the list is empty.
func (s *scanner) endItem(i int) {
	if len(bytes.TrimSpace(s.body[s.begin:i])) > 0 {
		s.items = append(s.items, span{s.begin, i})
	}
}

// field returns the name in the request of the field that the scan is at.
func (s *scanner) field(raw []byte) string {
	if s.at == 1 {
		return decodedText(raw)
	}
	return itemName(s.list, len(s.items)) + "." + decodedText(raw)
}

// endOfText returns where a JSON string ends that begins at an index.
func endOfText(body []byte, begin int) int {
	for i := begin + 1; i < len(body); i++ {
		switch body[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(body)
}

// decodedText returns the text of a valid JSON string.
func decodedText(raw []byte) (text string) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	_ = json.Unmarshal(raw, &text) // which is valid
	return text
}
