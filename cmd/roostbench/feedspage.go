package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// readFeeds reads what --json wrote.
func readFeeds(path string) (*feedsSummary, error) {
	all := new(feedsSummary)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, all); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

func (all *feedsSummary) intoPage(path string) error { return nil }
