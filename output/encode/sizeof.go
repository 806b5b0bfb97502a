package encode

import "unsafe"

// sizeOf returns the bytes a T takes in a column.
func sizeOf[T any]() int {
	var v T
	return int(unsafe.Sizeof(v))
}
