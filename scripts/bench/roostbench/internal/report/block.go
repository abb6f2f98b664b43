package report

import (
	"errors"
	"fmt"
	"strings"
)

// ErrMarkers is wrapped by what ReplaceBlock says of a document without the markers of a block.
var ErrMarkers = errors.New("the document does not have both markers, once each and in order")

// ReplaceBlock puts text between the two markers of a block, which are lines of their own:
//
//	<!-- name -->
//	<!-- /name -->
func ReplaceBlock(document, name, text string) (string, error) {
	first, last := "<!-- "+name+" -->\n", "<!-- /"+name+" -->\n"
	head, rest, found := strings.Cut(document, first)
	_, tail, closed := strings.Cut(rest, last)
	if !found || !closed || strings.Contains(tail, first) || strings.Contains(tail, last) {
		return "", fmt.Errorf("%w: %s", ErrMarkers, name)
	}
	return head + first + "\n" + strings.TrimSpace(text) + "\n\n" + last + tail, nil
}
