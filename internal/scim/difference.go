package scim

import (
	"fmt"
	"slices"
)

// A Difference is what one attribute of a resource was and became, as JSON; "" for an
// attribute that is not there.
type Difference struct{ Name, Old, New string }

// Differences are the attributes that differ between two texts that [AppendJSON] wrote.
// An extension is one attribute.
func Differences(old, next []byte) ([]Difference, error) {
	const usual = 16 // attributes of a resource
	all := make([]Difference, 0, usual)
	err := members(old, func(name, value string) { all = append(all, Difference{Name: name, Old: value}) })
	if err == nil {
		err = members(next, func(name, value string) {
			for i := range all {
				if all[i].Name == name {
					all[i].New = value
					return
				}
			}
			all = append(all, Difference{Name: name, New: value})
		})
	}
	if err != nil {
		return nil, fmt.Errorf("scim: compare what is stored: %w", err)
	}
	return slices.DeleteFunc(all, func(d Difference) bool { return d.Old == d.New }), nil
}

// AppendDifferences appends them as one JSON object, by name: {"active":{"old":true,"new":false}}.
func AppendDifferences(dst []byte, differences []Difference) []byte {
	dst = append(dst, '{')
	for _, d := range differences {
		dst = append(appendJSONString(appendComma(dst), d.Name), ':', '{')
		if d.Old != "" {
			dst = append(append(dst, `"old":`...), d.Old...)
		}
		if d.New != "" {
			dst = append(append(appendComma(dst), `"new":`...), d.New...)
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// members calls member with each name and value of a stored text.
func members(stored []byte, member func(name, value string)) error {
	p := &storedParser{text: string(stored)}
	return p.object(func(name string) error {
		p.next()
		begin := p.at
		err := p.skip()
		if err == nil {
			member(name, p.text[begin:p.at])
		}
		return err
	})
}
