package ddl

import (
	"fmt"
	"strings"
)

// Quote writes an identifier as SQL: in backticks, with those characters escaped that mean something there. Any name
// that ClickHouse can hold comes through: dots, quotes, backslashes, control characters, any UTF-8.
// (ClickHouse docs, "Syntax", "Identifiers": escapes are those of string literals.)
func Quote(identifier string) string { return quoted(identifier, '`') }

// QuoteString writes a string literal.
func QuoteString(text string) string { return quoted(text, '\'') }

// QuoteName writes database.table.
func QuoteName(database, table string) string { return Quote(database) + "." + Quote(table) }

func quoted(text string, mark byte) string {
	b := make([]byte, 0, len(text)+2)
	b = append(b, mark)
	for i := range len(text) {
		switch c := text[i]; c {
		case mark, '\\':
			b = append(b, '\\', c)
		case 0:
			b = append(b, '\\', '0')
		default:
			b = append(b, c)
		}
	}
	return string(append(b, mark))
}

func quoteList(identifiers []string) string {
	quoted := make([]string, len(identifiers))
	for i, name := range identifiers {
		quoted[i] = Quote(name)
	}
	return strings.Join(quoted, ", ")
}

// splitList cuts SQL at the commas that are neither in quotes nor in parentheses: what system.tables prints as
// sorting_key, the arguments of an engine or of a type.
func splitList(sql string) []string {
	var parts []string
	depth, start := 0, 0
	for i := 0; i < len(sql); i++ {
		switch c := sql[i]; c {
		case '\'', '`', '"':
			i, _ = quoteEnd(sql, i)
			i--
		case '(', '[':
			depth++
		case ')', ']':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, strings.TrimSpace(sql[start:i]))
				start = i + 1
			}
		}
	}
	if rest := strings.TrimSpace(sql[start:]); rest != "" {
		parts = append(parts, rest)
	}
	return parts
}

// closing returns the position of the parenthesis that closes the one at sql[open], the end of sql where none does.
func closing(sql string, open int) int {
	depth := 0
	for i := open; i < len(sql); i++ {
		switch sql[i] {
		case '\'', '`', '"':
			i, _ = quoteEnd(sql, i)
			i--
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(sql)
}

// quoteEnd returns the position behind the quoted text that begins at sql[i], the end of sql where it is not closed.
func quoteEnd(sql string, i int) (end int, closed bool) {
	mark := sql[i]
	for i++; i < len(sql); i++ {
		switch sql[i] {
		case '\\':
			i++
		case mark:
			return i + 1, true
		}
	}
	return len(sql), false
}

// unquote returns the identifier that sql consists of, and whether it is one: an expression is not.
func unquote(sql string) (identifier string, ok bool) {
	if sql == "" {
		return "", false
	}
	if sql[0] != '`' && sql[0] != '"' {
		for i := range len(sql) {
			if !wordByte(sql[i]) {
				return "", false
			}
		}
		return sql, !digit(sql[0])
	}
	if end, closed := quoteEnd(sql, 0); !closed || end != len(sql) {
		return "", false
	}
	return unescape(sql[1 : len(sql)-1]), true
}

// unescape undoes the escapes that ClickHouse writes within quotes (WriteHelpers.h, writeAnyEscapedString).
func unescape(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' && i+1 < len(text) {
			i++
			c = text[i]
			if at := strings.IndexByte("bfnrt0", c); at >= 0 {
				c = "\b\f\n\r\t\x00"[at]
			}
		}
		b = append(b, c)
	}
	return string(b)
}

func wordByte(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || digit(c)
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// identifiers returns the names in an expression that are not those of functions, in the order in which they appear.
func identifiers(expression string) ([]string, error) {
	var names []string
	for i := 0; i < len(expression); {
		switch c := expression[i]; {
		case c == '\'':
			i, _ = quoteEnd(expression, i)
		case c == '`' || c == '"':
			end, _ := quoteEnd(expression, i)
			name, ok := unquote(expression[i:end])
			if !ok {
				return nil, fmt.Errorf("a quote is not closed in %q", expression)
			}
			names, i = append(names, name), end
		case digit(c):
			for i < len(expression) && (wordByte(expression[i]) || expression[i] == '.') {
				i++
			}
		case wordByte(c):
			end := i
			for end < len(expression) && wordByte(expression[end]) {
				end++
			}
			if !strings.HasPrefix(strings.TrimLeft(expression[end:], " \t\n"), "(") {
				names = append(names, expression[i:end])
			}
			i = end
		case c == ';':
			return nil, fmt.Errorf("%q is not one expression", expression)
		default:
			i++
		}
	}
	return names, nil
}
