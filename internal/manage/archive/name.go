package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// maxFileName is how many bytes a name may have on the usual file systems, less the longest ending that exports use.
const maxFileName = 255 - len(".ndjson")

// FileName is how a name or an id stands in file names (management-api.md 21.1 rule 1): characters that those cannot have
// are underscores. So is a point at the beginning, which would hide the file. What is too long ends with a part of its
// hash.
func FileName(name string) string {
	out := plainName(name)
	if len(out) > maxFileName {
		return hashedName(name, shortHash)
	}
	return out
}

func plainName(name string) string {
	out := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) || r < ' ' || r >= 0x7f && r <= 0x9f {
			return '_'
		}
		return r
	}, name)
	if strings.HasPrefix(out, ".") {
		out = "_" + out[1:]
	}
	if out == macFolder {
		out += "_"
	}
	return out
}

// macFolder is what one operating system adds to its archives.
const macFolder = "__MACOSX"

// Hidden reports whether a part of a path means that nobody wrote the file as data: it begins with a point, or is macFolder.
func Hidden(parts []string) bool {
	return slices.ContainsFunc(parts, func(p string) bool { return strings.HasPrefix(p, ".") || p == macFolder })
}

// shortHash is how many hexadecimal digits of a hash are usually enough.
const shortHash = 8

// hashedName is a file name that no other name has: the plain one, cut where it is too long, and digits of the name's hash.
func hashedName(name string, digits int) string {
	sum := sha256.Sum256([]byte(name))
	base := plainName(name)
	for len(base) > maxFileName-digits-1 {
		_, size := utf8.DecodeLastRuneInString(base)
		base = base[:len(base)-size]
	}
	return base + "~" + hex.EncodeToString(sum[:])[:digits]
}

// FileNames gives every name a file name of its own, also on file systems that take capital and small letters, or
// different encodings of one character, for the same. A name that is a file name keeps it; of other names that
// would have one file name each gets its hash, so that nothing depends on which was there first.
func FileNames(names []string) map[string]string {
	out := make(map[string]string, len(names))
	taken := map[string]bool{}
	wanted := map[string]int{}
	fold := func(file string) string { return norm.NFC.String(cases.Fold().String(file)) }
	sorted := slices.Sorted(slices.Values(names))
	for _, name := range sorted {
		file := FileName(name)
		key := fold(file)
		if wanted[key]++; file == name && !taken[key] {
			out[name], taken[key] = file, true
		}
	}
	for _, name := range sorted {
		if out[name] != "" {
			continue
		}
		file := FileName(name)
		if wanted[fold(file)] > 1 {
			for digits := shortHash; ; digits += shortHash {
				if file = hashedName(name, digits); !taken[fold(file)] {
					break
				}
			}
		}
		out[name], taken[fold(file)] = file, true
	}
	return out
}

// NameOf is the one of names that a file name means: the very same, else the only one that would stand so, else the
// one whose hash it has.
func NameOf(file string, names []string) (string, bool) {
	if slices.Contains(names, file) {
		return file, true
	}
	var fits []string
	for _, name := range names {
		if FileName(name) == file {
			fits = append(fits, name)
		}
	}
	if len(fits) == 1 {
		return fits[0], true
	}
	at := strings.LastIndexByte(file, '~')
	if digits := len(file) - at - 1; at >= 0 && digits >= shortHash && digits <= 2*sha256.Size {
		for _, name := range names {
			if hashedName(name, digits) == file {
				return name, true
			}
		}
	}
	return "", false
}
