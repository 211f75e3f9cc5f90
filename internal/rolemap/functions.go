package rolemap

// functions are all that an expression may call, macros expanded. Left out on
// purpose: dyn and type (they escape the types), replace, join, format and
// reverse (one call can build a large string), bytes and quoting, and sets
// (they would compare group names exactly).
var functions = map[string]bool{
	"_&&_": true, "_||_": true, "!_": true, "_?_:_": true,
	"_==_": true, "_!=_": true, "_<_": true, "_<=_": true, "_>_": true, "_>=_": true, "@in": true,
	"_+_": true, "_-_": true, "_*_": true, "_/_": true, "_%_": true, "-_": true,
	"_[_]": true, "_[?_]": true, "_?._": true, "@not_strictly_false": true,

	"size": true, "int": true, "double": true, "string": true, "bool": true,

	"startsWith": true, "endsWith": true, "contains": true, "matches": true,
	"lowerAscii": true, "upperAscii": true, "trim": true, "split": true, "substring": true,
	"charAt": true, "indexOf": true, "lastIndexOf": true,

	"timestamp": true, "duration": true,
	"getFullYear": true, "getMonth": true, "getDate": true, "getDayOfMonth": true, "getDayOfWeek": true,
	"getDayOfYear": true, "getHours": true, "getMinutes": true, "getSeconds": true, "getMilliseconds": true,

	"optional.of": true, "optional.ofNonZeroValue": true, "optional.none": true,
	"hasValue": true, "value": true, "or": true, "orValue": true,
}
