package report

// The measurements of 2014, as their document prints them: a study of
// Server-Sent Events on Node.js 0.10, clients and server on one laptop (2 GHz
// Core i7, 16 GB), one server process ("Normal", "roundrobin", "Local"), rooms of
// 6 with one sender each, the payload a JavaScript timestamp, about one second
// between iterations.
const source2014 = "2014: Server-Sent Events on Node.js 0.10, clients and server on one laptop " +
	"(2 GHz Core i7, 16 GB), rooms of 6, one sender a room, about 1 s between iterations."

// connect2014 is a row of table 1.
type connect2014 struct {
	clients int
	seconds float64 // first dial to last client connected
}

func connects2014() []connect2014 {
	return []connect2014{
		{1000, 1.512},
		{2000, 2.249},
		{3000, 17.598},
		{4000, 25.09},
		{5000, 46.373},
	}
}

// rooms2014 is a row of table 2.
type rooms2014 struct {
	clients, iterations int
	average, total      float64 // seconds
	cpu                 float64 // percent of one core
	messages            int64   // copies received; nobody explained those above clients × iterations
}

func allRooms2014() []rooms2014 {
	return []rooms2014{
		{1000, 1, 0.02, 3.353, 6.6, 1000},
		{1000, 10, 0.02, 13.595, 9.33, 10000},
		{1000, 100, 0.01, 108.67, 5.41, 101240},
		{2000, 1, 0.03, 5.837, 4.27, 2490},
		{2000, 10, 0.03, 24.842, 3.67, 20020},
		{2000, 100, 0.09, 266.289, 3.54, 201758},
		{3000, 1, 0.08, 24.91, 6.54, 3264},
		{3000, 10, 0.11, 42.7, 3.32, 30450},
		{3000, 100, 0.35, 500.89, 3.28, 303534},
		{4000, 100, 0.76, 1054.449, 3.17, 406597},
	}
}
