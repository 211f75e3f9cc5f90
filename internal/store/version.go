package store

import (
	"strconv"
	"strings"
)

// ETag is a version as an entity tag (RFC 7644 §3.14): weak, because two
// representations of one version may differ in their bytes.
func ETag(version int64) string { return `W/"` + strconv.FormatInt(version, 10) + `"` }

// matches reports whether an If-Match header names the version. No header
// matches everything; weakness is ignored, as clients send back what they got.
func matches(ifMatch string, version int64) bool {
	if ifMatch == "" {
		return true
	}
	want := strings.TrimPrefix(ETag(version), "W/")
	for tag := range strings.SplitSeq(ifMatch, ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == "*" || tag == want {
			return true
		}
	}
	return false
}
