package history

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
)

// parseCSV reads the portal's download of Entra's provisioning log. Its columns
// are found by their names, whose spelling has changed over the years.
func parseCSV(text []byte) ([]Event, error) {
	reader := csv.NewReader(bytes.NewReader(text))
	reader.FieldsPerRecord = -1
	header, err := reader.Read()
	if err != nil {
		return nil, errNoEvent
	}
	columns := make([]string, len(header))
	for i, name := range header {
		columns[i] = letters(name)
	}
	var events []Event
	for {
		row, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, &ArgumentError{"the CSV is broken: " + err.Error()}
		}
		if len(events) == mostEvents {
			return nil, &ArgumentError{"paste at most 50 entries"}
		}
		e, ok := csvEvent(columns, row)
		if !ok {
			return nil, errNoEvent
		}
		events = append(events, e)
	}
	switch {
	case len(events) > 0:
		return events, nil
	case !slices.ContainsFunc(columns, isTime):
		return nil, errNoEvent
	}
	return nil, &ArgumentError{"the CSV has a header and no entry: paste both lines"}
}

// letters is a column's name without case and punctuation.
func letters(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

func csvEvent(columns, row []string) (Event, bool) {
	e := Event{Source: "entra"}
	for i, value := range row[:min(len(row), len(columns))] {
		value = strings.TrimSpace(value)
		switch name := columns[i]; {
		case value == "":
		case isTime(name):
			e.At, _ = csvTime(value)
		case strings.HasSuffix(name, "action") && e.Action == "":
			e.Action = value
		case name == "status", strings.HasSuffix(name, "statusinfostatus"):
			e.Status = value
		case strings.HasSuffix(name, "errorcode"), strings.HasSuffix(name, "skipreason"):
			e.Code = value
		case strings.HasSuffix(name, "reason"):
			e.Reason = value
		case strings.HasSuffix(name, "displayname"):
			e.call(loose(value))
		case name == "sourceidentity", name == "targetidentity", name == "identity": // the portal writes an id there, or a display name
			e.name(loose(value))
			e.call(loose(value))
		case identifies(name):
			e.name(loose(value))
		}
	}
	return e.clipped(), !e.At.IsZero()
}

// isTime reports whether a column holds when an entry was: no log is without one.
func isTime(name string) bool {
	return slices.Contains([]string{"activitydatetime", "date", "dateutc", "timestamp"}, name)
}

// identifies reports whether a column holds an id or a name of whom an entry is about.
func identifies(name string) bool {
	if strings.Contains(name, "type") || strings.Contains(name, "system") {
		return false
	}
	for _, part := range []string{"sourceidentity", "targetidentity", "identity", "sourceid", "targetid", "userprincipalname", "externalid"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// csvTime reads the forms in which the portal writes a time, which is UTC.
func csvTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "1/2/2006, 3:04:05 PM", "1/2/2006 3:04:05 PM"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, errNoEvent
}
