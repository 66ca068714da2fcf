package manage

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/encoding/charmap"
)

// Measures of a page in points, and of its text. Courier has one width, so that lines can be broken without a table.
const (
	pageWidth, pageHeight = 595, 842 // A4
	margin                = 40
	fontSize              = 9
	lineHeight            = 12
	lineLength            = 95
	linesOfPage           = (pageHeight - 2*margin) / lineHeight
)

// writePDF sets lines of text as a PDF 1.4 file with the fonts that every reader has. Characters that these lack are
// written by their number.
func writePDF(lines []string) []byte {
	var broken []string
	for _, line := range lines {
		broken = append(broken, breakLine(printable(line))...)
	}
	var pages [][]string
	for len(broken) > linesOfPage {
		pages, broken = append(pages, broken[:linesOfPage]), broken[linesOfPage:]
	}
	pages = append(pages, broken)

	var out bytes.Buffer
	var offsets []int
	object := func(format string, args ...any) {
		offsets = append(offsets, out.Len())
		fmt.Fprintf(&out, "%d 0 obj\n", len(offsets))
		fmt.Fprintf(&out, format, args...)
		out.WriteString("\nendobj\n")
	}
	out.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	object("<< /Type /Catalog /Pages 2 0 R >>")
	var kids strings.Builder
	const first = 4 // number of the first page; each has its text behind it
	for i := range pages {
		fmt.Fprintf(&kids, "%d 0 R ", first+2*i)
	}
	object("<< /Type /Pages /Count %d /Kids [%s] >>", len(pages), kids.String())
	object("<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>")
	for i, page := range pages {
		object("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Resources << /Font << /F 3 0 R >> >> /Contents %d 0 R >>",
			pageWidth, pageHeight, first+2*i+1)
		text := pageText(page)
		object("<< /Length %d >>\nstream\n%s\nendstream", len(text), text)
	}
	start := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(offsets)+1)
	for _, offset := range offsets {
		fmt.Fprintf(&out, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&out, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(offsets)+1, start)
	return out.Bytes()
}

func pageText(lines []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "BT /F %d Tf %d TL %d %d Td\n", fontSize, lineHeight, margin, pageHeight-margin-lineHeight)
	escape := strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`)
	for _, line := range lines {
		b.WriteString("(" + escape.Replace(line) + ") Tj T*\n")
	}
	b.WriteString("ET")
	return b.String()
}

// printable is text in the encoding of the fonts.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		c, ok := charmap.Windows1252.EncodeRune(r)
		switch {
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		case ok && !unicode.IsControl(r):
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "<U+%04X>", r)
		}
	}
	return b.String()
}

// breakLine breaks at the last blank that fits, else where the line ends. What goes on is indented.
func breakLine(line string) []string {
	var out []string
	for len(line) > lineLength {
		at := strings.LastIndexByte(line[:lineLength], ' ')
		if at < lineLength/2 {
			at = lineLength
		}
		out = append(out, line[:at])
		line = "      " + strings.TrimLeft(line[at:], " ")
	}
	return append(out, line)
}
